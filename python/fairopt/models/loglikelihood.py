"""How likely a causal language model finds a continuation after a context: the one question the benchmarks ask.

All requests go through one token trie (:mod:`fairopt.models.trie`), so what they share is computed once. The rules that
turn texts into tokens stand in :mod:`fairopt.models.requests`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fairopt.models.requests import Encoded, Request, encode, start_token, window
from fairopt.progress import progress

if TYPE_CHECKING:
    from fairopt.models.engine import Engine

__all__ = ["LogLikelihoods", "Request", "ScoreOptions", "ScoringStats", "describe", "loglikelihood", "start_token"]


@dataclass(frozen=True)
class ScoreOptions:
    """How requests are packed. Packing changes no score beyond rounding; see :func:`loglikelihood`."""

    token_budget: int = 2048  # new nodes of a chunk, or tokens of a padded batch; a single request may exceed it
    reverse: bool = False  # walk the trie from its other end


@dataclass(frozen=True)
class ScoringStats:
    """What a call had to compute."""

    mode: str  # "tree attention", "trie over an SDPA mask" or "padded batches"
    why: str  # what spoke against a faster mode; empty for the fastest
    distinct: int  # requests that differ in tokens
    tokens: int  # that the model would read if it read each request on its own
    nodes: int  # positions that went through the model; of padded batches, padding included
    rows: int  # positions that went through the head

    @property
    def sharing(self) -> float:
        """Tokens for each computed position; 1 where nothing is shared."""
        return self.tokens / self.nodes if self.nodes else 1.0


@dataclass(frozen=True)
class LogLikelihoods:
    """One entry a request."""

    ll: npt.NDArray[np.float64]  # sum of log p over the continuation's tokens, nats
    n_tokens: npt.NDArray[np.int64]  # tokens of the continuation
    greedy: npt.NDArray[np.bool_]  # the model finds no token likelier at any place of the continuation
    truncated: int  # requests whose context lost its beginning to fit the model's window
    stats: ScoringStats


def describe(model: Any, tokenizer: Any) -> dict[str, str]:
    """How requests become scores, beyond the model, its tokenizer and packing: part of a run's fingerprint.

    A quantised cache is part of the model, as its weights are: the engine is the one that would read it without.
    """
    from fairopt.models.engine import engine
    from fairopt.nn.attached_cache import detached_cache

    with detached_cache(model):
        by = engine(model)
    token = tokenizer.convert_ids_to_tokens(start_token(tokenizer))
    has_bos = tokenizer.bos_token_id is not None
    return {
        "BOS rule": f"one {token} before every request" if has_bos else f"none; {token} before an empty context",
        "continuation": "tokens of the whole after as many as the context has; if none, after the shared ones",
        "engine": str(by),
    }


def loglikelihood(
    model: Any,
    tokenizer: Any,
    requests: Sequence[Request],
    options: ScoreOptions | None = None,
    *,
    keep_spaces: bool = False,
    advance: Callable[[int], None] | None = None,
) -> LogLikelihoods:
    """Sum of ``log p(continuation | context)`` of each request, in the order given.

    The score of a request does not depend on the others beyond rounding. What is left is the order in which matrix
    products and attention add up, which depends on their shapes. In fp32 one such sum is off by about ``u = 2**-24`` of
    its size; ``4 L + 1`` of them in a row, with independent roundings, move a logit of size ``s`` by ``u s sqrt(4 L +
    1)``, a token's log p by ``sqrt(2)`` times that (target and normaliser), and the sum of ``T`` tokens by ``sqrt(T)``
    times that again. For L = 2 layers, s = 20 and T = 60 that is 4e-5 nats; it is 9e-5 for L = 12 and grows from there.
    An audit does not rely on it: it measures the noise by scoring the base model twice. Sums over tokens are in float64
    and add nothing.

    The model is read through a token trie with the tree attention kernel (CPU, fp32), through the trie with stock
    attention under a mask (CUDA, half precision), or, where a trie cannot serve it, in padded batches; ``stats`` of the
    result and :func:`describe` say which and why. It leaves as it came, also after an exception.

    Spaces that end a context move to the continuation, unless ``keep_spaces``: a chat template's last line break is
    part of the context. ``advance`` is told the number of requests just done; without it a progress bar is shown.
    Raises :class:`~fairopt.errors.InputError` for a continuation without tokens or longer than the model's window.
    """
    if advance is None:
        with progress("scoring", len(requests), "requests") as bar:
            return loglikelihood(model, tokenizer, requests, options, keep_spaces=keep_spaces, advance=bar)
    encoded = encode(tokenizer, requests, window(model), keep_spaces=keep_spaces)
    return score_encoded(model, encoded, options or ScoreOptions(), advance)


def score_encoded(
    model: Any, encoded: Sequence[Encoded], options: ScoreOptions, advance: Callable[[int], None]
) -> LogLikelihoods:
    """:func:`loglikelihood` of requests that are tokens already."""
    from fairopt.models.engine import engine, evaluating, read
    from fairopt.models.head import score
    from fairopt.models.trie import sequences

    found, by = sequences(encoded, reverse=options.reverse), engine(model)
    asked = np.bincount(found.index, minlength=len(found))  # requests of each sequence
    ll, greedy = np.zeros(len(found)), np.ones(len(found), dtype=np.bool_)
    nodes = rows = 0
    parts = read([model], found, by, options.token_budget, reverse=options.reverse)
    with evaluating(model), closing(parts):
        for part in parts:
            logp, first_choice = score(part.rows[0])
            of = np.repeat(part.sequences, found.n_targets[part.sequences])
            np.add.at(ll, of, logp)
            np.logical_and.at(greedy, of, first_choice)
            nodes, rows = nodes + part.computed, rows + len(part.rows[0].hidden)
            advance(int(asked[part.sequences].sum()))
    n_tokens = np.array([e.n_targets for e in encoded], dtype=np.int64)
    stats = _stats(by, encoded, len(found), nodes, rows)
    return LogLikelihoods(ll[found.index], n_tokens, greedy[found.index], sum(e.truncated for e in encoded), stats)


def _stats(by: Engine, encoded: Sequence[Encoded], distinct: int, nodes: int, rows: int) -> ScoringStats:
    return ScoringStats(by.mode, by.why, distinct, sum(len(e.ids) - 1 for e in encoded), nodes, rows)
