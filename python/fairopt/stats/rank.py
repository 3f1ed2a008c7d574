"""The rank test of two independent samples."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class RankTests:
    """One entry a pair of samples."""

    u: npt.NDArray[np.float64]  # pairs of observations in which the first sample's is larger, ties counting half
    p: npt.NDArray[np.float64]  # two-sided; NaN where a sample is empty


def mann_whitney(first: npt.ArrayLike, second: npt.ArrayLike) -> RankTests:
    """Test whether observations of one sample tend to be larger (Mann and Whitney 1947), many pairs of samples at once.

    ``first`` is [..., n], ``second`` [..., m]; NaN is no observation, so that samples of unequal size fit. The p value
    is normal with the variance corrected for ties and with continuity correction, as SciPy's ``asymptotic``; where all
    observations are equal it is 1.

    Raises:
        ValueError: for leading dimensions that do not fit together.
    """
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if a.ndim < 1 or a.shape[:-1] != b.shape[:-1]:
        raise ValueError(f"mann_whitney: second must be as many samples as first, got {b.shape} for {a.shape}")
    wins = a[..., :, None] > b[..., None, :]
    u = wins.sum(axis=(-2, -1)) + (a[..., :, None] == b[..., None, :]).sum(axis=(-2, -1)) / 2
    n, m = (np.isfinite(sample).sum(axis=-1) for sample in (a, b))
    both = np.concatenate([a, b], axis=-1)
    equals = (both[..., :, None] == both[..., None, :]).sum(axis=-1)  # of an observation, itself included
    ties = np.where(equals > 0, equals**2 - 1, 0).sum(axis=-1)  # sum of t ** 3 - t over groups of t equals
    total = n + m
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = n * m / 12 * (total + 1 - ties / (total * (total - 1)))
        z = (np.abs(u - n * m / 2) - 0.5) / np.sqrt(variance)
    p = np.array([min(1.0, math.erfc(value / math.sqrt(2))) for value in np.ravel(z)]).reshape(np.shape(z))
    return RankTests(u, np.where((n > 0) & (m > 0), np.where(variance > 0, p, 1.0), np.nan))
