"""Multiple choice from log-likelihoods: which option a model chooses, whether that is right, and how sure it is.

Scores are ``[items, options]`` in nats, summed or per character; an item with fewer options than others has ``-inf`` in
the rest of its row. A row that holds a NaN, or nothing but ``-inf``, has no choice: what depends on it is NaN.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from fairopt._arrays import counts, quotient, reals


def choices(scores: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Index of the best option of each item, the first of equals as in lm-evaluation-harness; -1 without a choice.

    Raises:
        ValueError: unless ``scores`` is ``[items, options]`` with at least one option.
    """
    return _choices(_table("choices", scores))


def choice_correct(scores: npt.ArrayLike, right: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """1 where the best option is the right one, else 0; NaN without a choice. Its mean is the accuracy.

    Raises:
        ValueError: for a shape that is none of ``[items, options]`` and ``[items]``, or an index that is no option.
    """
    table = _table("choice_correct", scores)
    chosen, key = _choices(table), _indices("choice_correct", right, table)
    return np.where(chosen < 0, np.nan, chosen == key)


def choice_lead(scores: npt.ArrayLike, right: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """How far the right option is ahead of the best wrong one, in units of the scores; raises as `choice_correct`."""
    table = _table("choice_lead", scores)
    is_right = np.arange(table.shape[1]) == _indices("choice_lead", right, table)[:, None]
    rival = np.where(is_right, -np.inf, table).max(axis=1, initial=-np.inf)
    right_score = np.where(_choices(table) < 0, np.nan, table[is_right])
    return np.asarray(right_score - rival)


def choice_confidence(scores: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Probability of the best option under a softmax over the options, in (0, 1]; NaN without a choice."""
    table = _table("choice_confidence", scores)
    return np.asarray(1 / _relative(table).sum(axis=1))


def choice_mass(scores: npt.ArrayLike, among: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Share of the options' probability that falls to those marked in ``among``, in [0, 1]: TruthfulQA's MC2.

    ``among`` is ``[items, options]`` of truth values. Probabilities are normalised over the options; NaN without one.

    Raises:
        ValueError: unless ``among`` has the shape of ``scores``.
    """
    table, marked = _table("choice_mass", scores), np.asarray(among, dtype=bool)
    if marked.shape != table.shape:
        raise ValueError(f"choice_mass: among must have the shape of scores, {table.shape}, got {marked.shape}")
    relative = _relative(table)
    return np.asarray((relative * marked).sum(axis=1) / relative.sum(axis=1))


def answer_bits_per_byte(log_likelihood: npt.ArrayLike, n_bytes: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Bits a UTF-8 byte that the right answer costs, >= 0: -LL / (bytes * ln 2); NaN without a byte or a score.

    It moves before an answer flips, and models with other tokenizers compare.

    Raises:
        ValueError: unless both are one number an item.
    """
    ll = reals("answer_bits_per_byte", "log_likelihood", log_likelihood)
    n = counts("answer_bits_per_byte", "n_bytes", n_bytes)
    if n.size != ll.size:
        raise ValueError(f"answer_bits_per_byte: n_bytes must be one number for each of {ll.size} items, got {n.size}")
    return quotient(-ll, n * math.log(2))


def _table(op: str, scores: npt.ArrayLike) -> npt.NDArray[np.float64]:
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim != 2 or not table.shape[1]:
        raise ValueError(f"{op}: scores must be [items, options] with at least one option, got shape {table.shape}")
    return table


def _indices(op: str, right: npt.ArrayLike, table: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    key = counts(op, "right", right)
    if key.size != len(table):
        raise ValueError(f"{op}: right must be one index for each of {len(table)} items, got {key.size}")
    wrong = key[(key < 0) | (key >= table.shape[1])]
    if wrong.size:
        raise ValueError(f"{op}: right must be from 0 to {table.shape[1] - 1}, got {wrong[0]}")
    return key


def _choices(table: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    missing = np.isnan(table).any(axis=1) | np.isneginf(table).all(axis=1)
    return np.where(missing, -1, np.argmax(table, axis=1)).astype(np.int64)


def _relative(table: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Probability of each option as a multiple of the best one's: long answers underflow otherwise."""
    best = np.where(_choices(table) < 0, np.nan, table.max(axis=1))
    return np.exp(table - best[:, None])
