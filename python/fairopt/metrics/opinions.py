"""How far a model's opinions are from people's: distances of distributions over options, and their inequality."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from fairopt._arrays import quotient
from fairopt.stats import js_divergence

Rows = npt.NDArray[np.float64]


def wasserstein_options(p: npt.ArrayLike, q: npt.ArrayLike) -> Rows:
    """1-Wasserstein distance of each pair of distributions over options 0, 1, ... k - 1, in ``[0, k - 1]``.

    ``p`` and ``q`` are ``[n, k]``, weights of at least 0 that are normalised here; the result is ``[n]``.
    Options count as equally far apart, in the order given: a "don't know" at the end is farther from the first option
    than any opinion is. NaN where a row has no weight or a NaN. Equal to ``scipy.stats.wasserstein_distance``.

    Raises:
        ValueError: for unequal shapes or a negative weight.
    """
    a, b = _distributions("wasserstein_options", p, q)
    distance: Rows = np.abs(np.cumsum(a - b, axis=-1)[..., :-1]).sum(axis=-1)
    return distance


def js_distance(p: npt.ArrayLike, q: npt.ArrayLike) -> Rows:
    """Jensen-Shannon distance (the root of the divergence) in base 2, in ``[0, 1]``; arguments as above.

    Equal to ``scipy.spatial.distance.jensenshannon(p, q, base=2)``. Its default base, e, has a maximum of .8326.
    """
    a, b = _distributions("js_distance", p, q)
    known = ~np.isnan(a + b).any(axis=1)
    distance = np.full(len(a), np.nan)
    distance[known] = np.sqrt(np.maximum(js_divergence(a[known], b[known]), 0) / math.log(2))
    return distance


def gini(values: npt.ArrayLike) -> float:
    """Mean absolute difference of all pairs, each with itself too, over twice the mean: 0 for equals, below 1.

    NaN without values, with a NaN among them, or for a mean of 0.

    Raises:
        ValueError: for a negative value.
    """
    x = np.sort(np.asarray(values, np.float64).ravel())
    if np.any(x < 0):
        raise ValueError(f"gini: values must not be negative, got {x[x < 0][0]}")
    if not x.size or np.isnan(x).any() or x.sum() == 0:
        return math.nan
    rank = np.arange(1, x.size + 1)
    return float((2 * rank - x.size - 1) @ x / (x.size * x.sum()))


def _distributions(op: str, p: npt.ArrayLike, q: npt.ArrayLike) -> tuple[Rows, Rows]:
    a, b = np.asarray(p, np.float64), np.asarray(q, np.float64)
    if a.shape != b.shape or a.ndim != 2:
        raise ValueError(f"{op}: p and q must both be [n, k], got shapes {a.shape} and {b.shape}")
    return _normalised(op, "p", a), _normalised(op, "q", b)


def _normalised(op: str, argument: str, rows: Rows) -> Rows:
    if np.any(rows < 0):
        raise ValueError(f"{op}: {argument} must not be negative, got {rows[rows < 0][0]}")
    return quotient(rows, np.broadcast_to(rows.sum(axis=1, keepdims=True), rows.shape))
