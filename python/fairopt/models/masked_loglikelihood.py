"""Log-likelihood of some of a text's tokens under masked language models, by the rules of the bias benchmarks.

``shared``
    CrowS-Pairs (Nangia et al. 2020, ``metric.py``). Requests come in twos, ``("", first)`` and ``("", second)``: of
    each text the tokens that both have, one hidden at a time. These are the equal blocks that
    ``difflib.SequenceMatcher`` finds between the token ids of the first and the second, special tokens included; the
    first and the last shared token are not scored, for they are the special ones. Blocks depend on which text is first.
``differing``
    bias-bench (Meade et al. 2022, ``benchmark/crows``). The same for all tokens outside these blocks. A text without
    such tokens has none to score: 0 nats over 0 tokens.
``fill``
    StereoSet (Nadeem et al. 2021) within a sentence. A request is ``(text with BLANK, filling)``: the filling's tokens
    are put in from left to right, each predicted at a mask with the tokens before it in place and those after it still
    left out. The log-likelihood is the logarithm of the *arithmetic mean* of their probabilities, as in the authors'
    code. The tokens are those that the filling has within the text: where a tokenizer puts a word's leading space into
    its first token, as RoBERTa's does, it is there (the authors' own RoBERTa numbers are without it).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from fairopt.errors import InputError
from fairopt.models.masks import Mask, check_length, check_masked, predict
from fairopt.models.requests import Request
from fairopt.progress import progress

Rule = Literal["shared", "differing", "fill"]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
BLANK = "BLANK"
_OP = "masked_loglikelihood"


@dataclass(frozen=True)
class MaskedLogLikelihoods:
    """One entry a request."""

    ll: Floats  # nats: sum of log p of the hidden tokens; ``fill``: log of their mean p
    n_tokens: Ints  # tokens that were hidden


def masked_loglikelihood(
    model: Any,
    tokenizer: Any,
    rule: Rule,
    requests: Sequence[Request],
    *,
    token_budget: int = 2048,
    advance: Callable[[int], None] | None = None,
) -> MaskedLogLikelihoods:
    """Score the hidden tokens of each request, in the order given; see the module for the rules.

    Masks of all requests share batches of similar length; ``token_budget`` counts a batch's tokens, padding included.
    ``advance`` is called with the number of requests just done; without it a progress bar is shown.
    Raises :class:`~fairopt.errors.InputError` for a model without a mask token, a text longer than its window, and
    requests that the rule does not know.
    """
    if advance is None:
        with progress("scoring", len(requests), "requests") as bar:
            return masked_loglikelihood(model, tokenizer, rule, requests, token_budget=token_budget, advance=bar)
    if rule not in get_args(Rule):
        raise InputError(f"{_OP}: rule must be one of {', '.join(get_args(Rule))}, got {rule!r}")
    check_masked(_OP, tokenizer)
    masks = _fill_masks(model, tokenizer, requests) if rule == "fill" else _pair_masks(model, tokenizer, rule, requests)
    of = np.array([mask.request for mask in masks], dtype=np.int64)
    n_tokens = np.bincount(of, minlength=len(requests))
    logp = predict(model, tokenizer, masks, token_budget, _in_requests(len(masks), len(requests), advance))
    combine = _log_mean if rule == "fill" else _sum
    return MaskedLogLikelihoods(combine(of, logp, n_tokens), n_tokens)


def _in_requests(n_masks: int, n_requests: int, advance: Callable[[int], None]) -> Callable[[int], None]:
    """What turns a number of masks into one of requests: all masks are all requests."""
    done = 0
    if not n_masks:
        advance(n_requests)

    def step(n: int) -> None:
        nonlocal done
        before, done = done, done + n
        advance(done * n_requests // n_masks - before * n_requests // n_masks)

    return step


def _sum(of: Ints, logp: Floats, n_tokens: Ints) -> Floats:
    """Within each request: [requests]."""
    total = np.zeros(len(n_tokens))
    np.add.at(total, of, logp)
    return total


def _log_mean(of: Ints, logp: Floats, n_tokens: Ints) -> Floats:
    """Log of the mean of exp(logp) within each request: [requests]. Every request has a token."""
    largest = np.full(len(n_tokens), -np.inf)
    np.maximum.at(largest, of, logp)
    return np.asarray(largest + np.log(_sum(of, np.exp(logp - largest[of]), n_tokens) / n_tokens))


def _pair_masks(model: Any, tokenizer: Any, rule: Rule, requests: Sequence[Request]) -> list[Mask]:
    if len(requests) % 2 or any(context for context, _ in requests):
        raise InputError(f'{_OP}: requests of rule {rule!r} must be in twos, ("", first) and ("", second)')
    if not requests:
        return []
    encoded = tokenizer([text for _, text in requests], verbose=False)["input_ids"]
    check_length(_OP, model, tokenizer, encoded, "requests")
    masks = []
    for index in range(0, len(encoded), 2):
        both = shared_tokens(encoded[index], encoded[index + 1])
        for request, shared in zip((index, index + 1), zip(*both, strict=True) if both else ((), ()), strict=True):
            ids = encoded[request]
            chosen = shared[1:-1] if rule == "shared" else [at for at in range(len(ids)) if at not in shared]
            masks += [Mask(ids, position, request) for position in chosen]
    return masks


def shared_tokens(first: Sequence[int], second: Sequence[int]) -> list[tuple[int, int]]:
    """Where the equal blocks of two sequences of token ids lie: position in the first, position in the second."""
    blocks = SequenceMatcher(None, first, second).get_matching_blocks()
    return [(block.a + i, block.b + i) for block in blocks for i in range(block.size)]


def _fill_masks(model: Any, tokenizer: Any, requests: Sequence[Request]) -> list[Mask]:
    if not tokenizer.is_fast:
        raise InputError(f"{_OP}: tokenizer must be a fast one to fill a blank, got {type(tokenizer).__name__}")
    for index, (text, filling) in enumerate(requests):
        if text.count(BLANK) != 1 or not filling.strip():
            raise InputError(
                f"{_OP}: requests[{index}] must be a text with one {BLANK} and what fills it, got {(text, filling)!r}"
            )
    if not requests:
        return []
    found = tokenizer(
        [text.replace(BLANK, filling) for text, filling in requests], return_offsets_mapping=True, verbose=False
    )
    check_length(_OP, model, tokenizer, found["input_ids"], "requests")
    masks = []
    for request, (ids, offsets) in enumerate(zip(found["input_ids"], found["offset_mapping"], strict=True)):
        text, filling = requests[request]
        start = text.index(BLANK)
        end = start + len(filling)
        pieces = [at for at, (a, b) in enumerate(offsets) if a < end and b > start]
        if not pieces:
            raise InputError(f"{_OP}: requests[{request}] must have a filling of at least one token, got {filling!r}")
        rest = ids[pieces[-1] + 1 :]
        masks += [Mask([*ids[: position + 1], *rest], position, request) for position in pieces]
    return masks
