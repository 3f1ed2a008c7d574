"""The words that a model is likeliest to put in a blank."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fairopt.errors import InputError
from fairopt.models.loading import kind_of
from fairopt.models.masks import check_length, check_masked
from fairopt.models.requests import start_token, tokens, window
from fairopt.progress import progress

if TYPE_CHECKING:
    import torch

BLANK = "BLANK"
PIECES = 5  # tokens of a causal model that a word may have
_WORD = re.compile(r" *([\w'’\ufffd-]*)")  # with the sign of a character that is not whole yet
_SPACES = ("\u0120", "\u2581", " ")  # Ġ, ▁
_OP = "top_words"


@dataclass(frozen=True)
class _Query:
    """What is read up to the token that is asked for."""

    ids: list[int]
    position: int  # whose logits tell it
    spaced: bool = False  # it must begin with a space


def top_words(
    model: Any,
    tokenizer: Any,
    texts: Sequence[str],
    k: int,
    *,
    token_budget: int = 2048,
    advance: Callable[[int], None] | None = None,
) -> list[tuple[str, ...]]:
    """The ``k`` likeliest fillings of each text's ``BLANK``, likeliest first, without white space around.

    A masked model fills a mask with one token, as the fill-mask pipeline of transformers does: pieces of words and
    special tokens are among them. A causal model reads what is before the blank, without the white space that ends it;
    each of the ``k`` likeliest next tokens is continued greedily to the end of its word, over at most ``PIECES`` tokens
    in all. Where there was white space, only tokens that begin with it count: others would go on with the word before.
    A token without a word, such as a quotation mark, gives an empty one.

    ``advance`` is called with the number of texts just done; without it a progress bar is shown.
    Raises :class:`~fairopt.errors.InputError` for a text without exactly one blank or longer than the window, and for
    more words than the vocabulary has tokens, or tokens that begin with a space.
    """
    if advance is None:
        with progress("filling blanks", len(texts), "texts") as bar:
            return top_words(model, tokenizer, texts, k, token_budget=token_budget, advance=bar)
    from fairopt.models.engine import evaluating

    for index, text in enumerate(texts):
        if text.count(BLANK) != 1:
            raise InputError(f"{_OP}: texts[{index}] must have one {BLANK}, got {text!r}")
    masked = kind_of([type(model).__name__]) == "masked"
    queries = (_masked_queries if masked else _causal_queries)(model, tokenizer, texts)
    spaced = _spaced(tokenizer, model.config.get_text_config().vocab_size)
    choices = int(spaced.sum()) if any(query.spaced for query in queries) else len(spaced)
    if not 1 <= k <= choices:
        raise InputError(f"{_OP}: k must be in [1, {choices}], got {k}")
    with evaluating(model):
        first = _likeliest(model, tokenizer, queries, k, spaced, token_budget, advance)
        if masked:
            return [tuple(tokenizer.decode([token]).strip() for token in own) for own in first]
        return _words(model, tokenizer, queries, first, spaced, token_budget, advance)


def _spaced(tokenizer: Any, vocabulary: int) -> torch.Tensor:
    """Which tokens begin with a space, as tokenizers of bytes, of SentencePiece and of letters write it; else all."""
    import torch

    names = tokenizer.convert_ids_to_tokens(list(range(min(vocabulary, len(tokenizer)))))
    found = torch.zeros(vocabulary, dtype=torch.bool)
    found[: len(names)] = torch.tensor([(name or "").startswith(_SPACES) for name in names])
    return found if found.any() else ~found


def _masked_queries(model: Any, tokenizer: Any, texts: Sequence[str]) -> list[_Query]:
    check_masked(_OP, tokenizer)
    if not texts:
        return []
    encoded = tokenizer([text.replace(BLANK, tokenizer.mask_token) for text in texts], verbose=False)["input_ids"]
    check_length(_OP, model, tokenizer, encoded, "texts")
    return [_Query(ids, ids.index(tokenizer.mask_token_id)) for ids in encoded]


def _causal_queries(model: Any, tokenizer: Any, texts: Sequence[str]) -> list[_Query]:
    start, limit = start_token(tokenizer), window(model)
    found = []
    before = [text.partition(BLANK)[0] for text in texts]
    for index, ids in enumerate(tokens(tokenizer, [text.rstrip() for text in before])):
        whole = [start, *ids] if (tokenizer.bos_token_id is not None or not ids) and ids[:1] != [start] else ids
        if limit is not None and len(whole) + PIECES - 1 > limit:
            raise InputError(
                f"{_OP}: texts[{index}] must leave room for {PIECES} tokens in a window of {limit}, got {len(whole)}"
            )
        found.append(_Query(whole, len(whole) - 1, spaced=before[index][-1:].isspace()))
    return found


def _words(
    model: Any,
    tokenizer: Any,
    queries: Sequence[_Query],
    first: Sequence[Sequence[int]],
    spaced: torch.Tensor,
    token_budget: int,
    advance: Callable[[int], None],
) -> list[tuple[str, ...]]:
    """Continue each first token to the end of its word."""
    grown = {(text, rank): [token] for text, own in enumerate(first) for rank, token in enumerate(own)}
    for _ in range(PIECES - 1):
        open_ = [key for key, ids in grown.items() if _unfinished(tokenizer.decode(ids))]
        longer = [[*queries[text].ids, *grown[text, rank]] for text, rank in open_]
        further = [_Query(ids, len(ids) - 1) for ids in longer]
        next_ = _likeliest(model, tokenizer, further, 1, spaced, token_budget, lambda _: advance(0))
        for key, (token,) in zip(open_, next_, strict=True):
            grown[key].append(token)
    words = {key: _word(tokenizer.decode(ids)) for key, ids in grown.items()}
    return [tuple(words[text, rank] for rank in range(len(own))) for text, own in enumerate(first)]


def _word(text: str) -> str:
    found = _WORD.match(text)
    return found[1] if found else ""


def _unfinished(text: str) -> bool:
    """Whether a word may go on after this text: it is nothing but one, or not yet begun."""
    return _WORD.fullmatch(text) is not None


def _likeliest(
    model: Any,
    tokenizer: Any,
    queries: Sequence[_Query],
    k: int,
    spaced: torch.Tensor,
    token_budget: int,
    advance: Callable[[int], None],
) -> list[list[int]]:
    """The ``k`` tokens with the largest logits of each query, largest first."""
    import torch

    found: list[list[int]] = [[] for _ in queries]
    for batch in _batches(queries, token_budget):
        logits = _logits(model, tokenizer, [queries[index] for index in batch])
        barred = torch.tensor([queries[index].spaced for index in batch])[:, None] & ~spaced
        logits = logits.masked_fill(barred.to(logits.device), -torch.inf)
        for index, own in zip(batch, logits.topk(k).indices.tolist(), strict=True):
            found[index] = own
        advance(len(batch))
    return found


def _batches(queries: Sequence[_Query], token_budget: int) -> Iterator[list[int]]:
    """Queries of similar length, the longest first; a single one may exceed the budget."""
    order = sorted(range(len(queries)), key=lambda index: -len(queries[index].ids))
    while order:
        n = max(1, token_budget // len(queries[order[0]].ids))
        yield order[:n]
        order = order[n:]


def _logits(model: Any, tokenizer: Any, batch: Sequence[_Query]) -> torch.Tensor:
    """[b, vocabulary], in one forward pass padded on the right, the head on the asked positions alone."""
    import torch

    from fairopt.models import padded

    inputs = torch.full((len(batch), len(batch[0].ids)), tokenizer.pad_token_id or 0)
    attended, asked = torch.zeros_like(inputs), torch.zeros_like(inputs, dtype=torch.bool)
    for row, query in enumerate(batch):
        inputs[row, : len(query.ids)] = torch.tensor(query.ids)
        attended[row, : len(query.ids)] = 1
        asked[row, query.position] = True
    return padded.forward(model, inputs, attended, asked)
