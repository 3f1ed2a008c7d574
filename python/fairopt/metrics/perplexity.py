"""Perplexity from sums of log-likelihoods: per token, word or byte.

Only the last two compare models with different tokenizers: they divide by words or bytes of the original text, however
it was cut into tokens.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from fairopt._arrays import quotient, reals, weights
from fairopt.metrics.additive import Additive, ItemSums


def word_counts(texts: Iterable[str]) -> npt.NDArray[np.int64]:
    """Count the parts between runs of white space, as lm-evaluation-harness does: "a b " has three, "" has one."""
    return np.array([len(re.split(r"\s+", text)) for text in texts], np.int64)


def byte_counts(texts: Iterable[str]) -> npt.NDArray[np.int64]:
    """Count the bytes of the texts in UTF-8."""
    return np.array([len(text.encode()) for text in texts], np.int64)


def perplexity(
    log_likelihood: npt.ArrayLike, count: npt.ArrayLike, *, sample_weight: npt.ArrayLike | None = None
) -> float:
    """Return exp(-sum of log-likelihoods / sum of counts); NaN without a count.

    ``log_likelihood`` is one sum in nats a text, ``count`` its number of tokens, words or bytes: the unit is the
    caller's to name (``perplexity/token``, ``perplexity/word``, ``perplexity/byte``).
    """
    return _score("perplexity", log_likelihood, count, sample_weight, _perplexity)


def bits_per_byte(
    log_likelihood: npt.ArrayLike, byte_count: npt.ArrayLike, *, sample_weight: npt.ArrayLike | None = None
) -> float:
    """Return -sum of log-likelihoods / (sum of bytes * ln 2); NaN without bytes."""
    return _score("bits_per_byte", log_likelihood, byte_count, sample_weight, _bits)


def bits_per_byte_influence(log_likelihood: npt.ArrayLike, byte_count: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Compute what each text adds to :func:`bits_per_byte` of all, to first order.

    The values sum to 0, and the variance of their sums by cluster is that of the number (statistics.md, F5). All are
    NaN where the number is.
    """
    ll, n = _rows("bits_per_byte_influence", byte_count, log_likelihood).values.T
    bits = -ll / math.log(2)
    return quotient(bits - quotient(bits.sum(), n.sum()) * n, np.full(n.size, n.sum()))


def degradation_ratio(base_ll: npt.ArrayLike, variant_ll: npt.ArrayLike, count: npt.ArrayLike) -> float:
    """Return rho, the perplexity of the variant over that of the base on the same texts; NaN without a count.

    With bytes as the unit, log2 of it is the change of :func:`bits_per_byte`. Two corpora compare by the difference of
    their log rho: it is 0 where compression costs both the same, however far apart they were before.
    """
    base, variant = (
        _nats(_rows("degradation_ratio", count, ll).values.sum(axis=0)[None]) for ll in (base_ll, variant_ll)
    )
    return float(np.exp(variant - base))


def _score(op: str, ll: npt.ArrayLike, count: npt.ArrayLike, sample_weight: npt.ArrayLike | None, score: Any) -> float:
    values = _rows(op, count, ll).values
    sums: npt.NDArray[np.float64] = weights(op, sample_weight, len(values)) @ values
    return float(score(sums[None]))


def _rows(op: str, count: npt.ArrayLike, log_likelihood: npt.ArrayLike) -> ItemSums:
    ll, n = reals(op, "log_likelihood", log_likelihood), reals(op, "count", count)
    if n.size != ll.size:
        raise ValueError(f"{op}: count must be one number for each of {ll.size} texts, got {n.size}")
    wrong = n[~(np.isfinite(n) & (n >= 0))]
    if wrong.size:
        raise ValueError(f"{op}: count must be >= 0, got {wrong[0]}")
    return ItemSums.of(np.column_stack([ll, n]))


def _perplexity(sums: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    with np.errstate(over="ignore"):
        return np.exp(_nats(sums))


def _bits(sums: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return _nats(sums) / math.log(2)


def _nats(sums: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return quotient(-sums[..., 0, 0], sums[..., 0, 1])


def _additive(name: str, score: Any) -> Additive:
    return Additive(name, "lower", lambda count, ll: _rows(name, count, ll), score, "no log-likelihood or count")


# In a frame, y_true holds the counts of the unit and y_pred the log-likelihoods.
PERPLEXITIES: Mapping[str, Additive] = {
    **{name: _additive(name, _perplexity) for name in ("perplexity/token", "perplexity/word", "perplexity/byte")},
    "bits_per_byte": _additive("bits_per_byte", _bits),
}
