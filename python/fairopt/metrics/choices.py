"""Which of k options was chosen how often: how far from equally often."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fairopt._arrays import reals


@dataclass(frozen=True)
class UniformChoice:
    """Counts of k options against "each equally often"; NaN without a choice."""

    n: float  # choices
    gap: float  # largest minus smallest share, [0, 1]
    chi_square: float  # Pearson's, k - 1 degrees of freedom
    p: float  # of a chi-square as large, were the choices independent
    imbalance: float  # chi_square / (n (k - 1)): 0 equally often, 1 always the same; Cramer's V squared


def uniform_choice(counts: npt.ArrayLike) -> UniformChoice:
    """Compare how often each of at least two options was chosen with equal shares.

    ``counts`` may be fractions, as of several samples each; options never chosen are 0 and count. Choices about the
    same question are not independent: ``p`` is then too small.

    Raises:
        ValueError: for fewer than two options or a negative count.
    """
    n = reals("uniform_choice", "counts", counts)
    if n.size < 2 or np.any(n < 0):
        raise ValueError(f"uniform_choice: counts must be two or more numbers of at least 0, got {n.tolist()}")
    total, k = float(n.sum()), n.size
    if not total > 0:
        return UniformChoice(total, math.nan, math.nan, math.nan, math.nan)
    share = n / total
    chi_square = float(k * total * np.sum((share - 1 / k) ** 2))
    return UniformChoice(
        total, float(np.ptp(share)), chi_square, _tail(chi_square / 2, k - 1), chi_square / (total * (k - 1))
    )


def imbalance_influence(choices: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """What each item adds to :attr:`UniformChoice.imbalance` to first order; the values sum to 0.

    ``choices`` is ``[items, options]``: 1 for the option an item chose, zeros for none, or fractions of samples.
    """
    rows = np.asarray(choices, np.float64)
    counts, k = rows.sum(axis=0), rows.shape[1]
    total = counts.sum()
    if not total > 0:
        return np.full(len(rows), np.nan)
    share = counts / total
    slope = 2 * k / (k - 1) * share
    found: npt.NDArray[np.float64] = (rows @ slope - rows.sum(axis=1) * (slope @ share)) / total
    return found


def _tail(x: float, df: int) -> float:
    """P(chi-square with ``df`` degrees of freedom >= 2 x), by the incomplete gamma function's recurrence."""
    a, tail = (1.0, math.exp(-x)) if df % 2 == 0 else (0.5, math.erfc(math.sqrt(x)))
    while a < df / 2:
        tail += math.exp(a * math.log(x) - x - math.lgamma(a + 1)) if x > 0 else 0.0
        a += 1
    return tail
