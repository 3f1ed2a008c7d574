"""From texts to token sequences: the tokenisation rules of every score.

They follow EleutherAI/lm-evaluation-harness (``TemplateLM._encode_pair`` and ``HFLM._loglikelihood_tokens``): spaces
that end the context move to the continuation; the model reads the tokens of the context on its own, then those of the
whole text from that number on (where a token spans the border, that is not the tokenisation of the whole); what does
not fit the model's window is cut from the left. They differ in two points, on purpose. Every request starts with
exactly one BOS token if the tokenizer has one, whatever its own habit. And where a token spans the border so that the
whole has no more tokens than the context alone, which lm-evaluation-harness cannot score, the continuation is what
comes after the tokens that both begin with: words at the end of the context are predicted too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fairopt.errors import InputError

Request = tuple[str, str]  # context, continuation


@dataclass(frozen=True, slots=True)
class Encoded:
    """One request as tokens, never empty: what the model reads is ``ids[:-1]``."""

    ids: list[int]  # context and continuation, cut from the left to the window plus one
    n_targets: int  # tokens of the continuation: the last ones of ``ids``
    truncated: bool  # the context lost its beginning


def start_token(tokenizer: Any) -> int:
    """The token a request starts from: BOS, or EOS where there is no BOS and the context is empty."""
    token = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    if token is None:
        raise InputError("loglikelihood: tokenizer must have a BOS or an EOS token, got neither")
    return int(token)


def window(model: Any) -> int | None:
    """Tokens the model can read at once, None where its configuration names no limit."""
    limit = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return None if limit is None else int(limit)


def tokens(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of each text, without special tokens that the tokenizer would add itself; equal texts cost once."""
    distinct = list(dict.fromkeys(texts))
    if not distinct:
        return []
    backend = tokenizer.backend_tokenizer if tokenizer.is_fast else None
    if backend is not None and backend.truncation is None and backend.padding is None:
        # The same ids without the masks and offsets that transformers would wrap around them.
        ids = [encoding.ids for encoding in backend.encode_batch_fast(distinct, add_special_tokens=False)]
    else:
        ids = tokenizer(distinct, add_special_tokens=False, verbose=False)["input_ids"]
    found = dict(zip(distinct, ids, strict=True))
    return [found[text] for text in texts]


def encode(
    tokenizer: Any, requests: Sequence[Request], limit: int | None, *, keep_spaces: bool = False
) -> list[Encoded]:
    """Apply the rules; ``limit`` is the model's window in tokens.

    With ``keep_spaces`` what ends the context stays there, as a chat template's last line break must.

    Raises :class:`~fairopt.errors.InputError` for a continuation without tokens or longer than the window.
    """
    if not requests:
        return []
    start, has_bos = start_token(tokenizer), tokenizer.bos_token_id is not None
    wholes = tokens(tokenizer, [context + continuation for context, continuation in requests])
    contexts = tokens(tokenizer, [context if keep_spaces else context.rstrip() for context, _ in requests])
    encoded = []
    for index, (whole, context) in enumerate(zip(wholes, contexts, strict=True)):
        kept = len(context) if len(whole) > len(context) else _shared(whole, context)
        ids, n_targets = [*context[:kept], *whole[kept:]], len(whole) - kept
        if (has_bos or not context) and ids[:1] != [start]:
            ids.insert(0, start)
        # A continuation that begins with the start token itself, after nothing: that token is the context.
        n_targets = min(n_targets, len(ids) - 1)
        if n_targets < 1:
            raise _without_tokens(index, *requests[index])
        encoded.append(_fitted(index, ids, n_targets, limit))
    return encoded


def _shared(whole: Sequence[int], context: Sequence[int]) -> int:
    """Number of tokens that both begin with."""
    pairs = enumerate(zip(whole, context, strict=False))
    return next((place for place, (one, other) in pairs if one != other), min(len(whole), len(context)))


def _without_tokens(index: int, context: str, continuation: str) -> InputError:
    joined = f" for {continuation[:40]!r} after {context[-40:]!r}: the tokenizer joins them" if continuation else ""
    return InputError(
        f"loglikelihood: requests[{index}] must have a continuation of at least one token, got none{joined}"
    )


def _fitted(index: int, whole: list[int], n_targets: int, limit: int | None) -> Encoded:
    if limit is None:
        return Encoded(whole, n_targets, False)
    if n_targets > limit:
        raise InputError(
            f"loglikelihood: requests[{index}] must have a continuation of at most {limit} tokens, got {n_targets}"
        )
    return Encoded(whole[-(limit + 1) :], n_targets, len(whole) > limit + 1)
