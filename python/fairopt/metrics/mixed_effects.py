"""A linear model with a random intercept: what groups add to a value that differs from question to question."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fairopt._arrays import reals

Reals = npt.NDArray[np.float64]
_RATIOS = np.exp(np.linspace(-14, 14, 57))  # of the two variances; 0, no variance between, is tried beside them
_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True, eq=False)
class RandomIntercept:
    """``values = design @ coefficients + intercept of the question + noise``; NaN where the design says too little."""

    coefficients: Reals  # one a column of the design
    standard_errors: Reals
    between: float  # variance of the questions' intercepts
    within: float  # variance of the noise


def random_intercept(values: npt.ArrayLike, design: npt.ArrayLike, questions: npt.ArrayLike) -> RandomIntercept:
    """Fit by restricted maximum likelihood (REML), as ``statsmodels.MixedLM`` and R's ``lmer`` do.

    Args:
        values: ``[n]``; with a NaN among them every result is NaN.
        design: ``[n, columns]``, the constant column among them.
        questions: ``[n]`` labels of any kind.

    In a balanced design, every group asked in every question, a coefficient is simply the mean difference to the
    baseline, and no variance is needed to know it.

    Raises:
        ValueError: for shapes that do not fit.
    """
    y, x = reals("random_intercept", "values", values), np.asarray(design, np.float64)
    labels, cluster = np.unique(np.asarray(questions), return_inverse=True)
    if x.ndim != 2 or len(x) != y.size or cluster.size != y.size:
        raise ValueError(
            f"random_intercept: design and questions must have {y.size} rows, got {x.shape} and {cluster.size}"
        )
    columns = x.shape[1]
    if not np.isfinite(y).all() or y.size <= columns or len(labels) < 2 or np.linalg.matrix_rank(x) < columns:
        return RandomIntercept(np.full(columns, np.nan), np.full(columns, np.nan), math.nan, math.nan)
    data, sizes = np.column_stack([y, x]), np.bincount(cluster)
    means = np.stack([np.bincount(cluster, column) for column in data.T], axis=1) / sizes[:, None]
    sums = _Sums(data.T @ data, means, sizes)
    ratio = _minimum(lambda r: sums.fit(r).criterion)
    best = sums.fit(ratio)
    errors = np.sqrt(best.variance * np.diag(np.linalg.inv(best.gram)))
    return RandomIntercept(best.coefficients, errors, ratio * best.variance, best.variance)


@dataclass(frozen=True, eq=False)
class _Fit:
    criterion: float  # minus twice the restricted log-likelihood, up to a constant
    coefficients: Reals
    gram: Reals
    variance: float  # of the noise


@dataclass(frozen=True, eq=False)
class _Sums:
    """All that the likelihood needs of the data ``[values, design]``."""

    moments: Reals  # sums of products of its columns
    means: Reals  # of its columns, one row a question
    sizes: npt.NDArray[np.int64]  # items of each question

    def fit(self, ratio: float) -> _Fit:
        """Generalised least squares, for a ratio of the variance between questions to that within."""
        spread = 1 + self.sizes * ratio
        removed = self.sizes * (1 - 1 / spread)  # of each question, of the products of its means
        left = self.moments - (self.means * removed[:, None]).T @ self.means
        gram, with_target = left[1:, 1:], left[1:, 0]
        coefficients = np.asarray(np.linalg.solve(gram, with_target), np.float64)
        free = int(self.sizes.sum()) - len(gram)
        variance = max(float(left[0, 0] - with_target @ coefficients) / free, 1e-300)
        penalty = float(np.log(spread).sum() + np.linalg.slogdet(gram)[1])
        return _Fit(free * math.log(variance) + penalty, coefficients, gram, variance)


def discrimination_scores(
    logits: npt.ArrayLike,
    questions: npt.ArrayLike,
    attributes: Mapping[str, npt.ArrayLike],
    baseline: Mapping[str, str],
) -> dict[tuple[str, str], float]:
    """Return what each group adds to the logit of a decision: ``(attribute, group)`` -> coefficient, nats.

    The discrimination score of Tamkin et al. (2023): fixed effects of all attributes at once, against a ``baseline``
    group of each, and a random intercept for each question. Theirs also has random slopes, which in a balanced design
    change no coefficient. NaN where the items cannot tell two groups apart.
    """
    labels = {name: np.asarray(values).astype(str) for name, values in attributes.items()}
    terms = [
        (name, str(group))
        for name, values in labels.items()
        for group in np.unique(values)
        if str(group) != baseline[name]
    ]
    y = reals("discrimination_scores", "logits", logits)
    columns = [np.ones(y.size), *(labels[name] == group for name, group in terms)]
    fitted = random_intercept(y, np.stack(columns, axis=1).astype(np.float64), questions)
    return {term: float(value) for term, value in zip(terms, fitted.coefficients[1:], strict=True)}


def _minimum(of: Callable[[float], float]) -> float:
    """Where a function of the ratio is smallest: the best of a grid, then a golden-section search around it."""
    grid = np.array([of(ratio) for ratio in _RATIOS])
    best = int(np.argmin(grid))
    if of(0.0) <= grid[best]:
        return 0.0
    low, high = (math.log(_RATIOS[min(max(best + side, 0), len(_RATIOS) - 1)]) for side in (-1, 1))
    while high - low > 1e-9:
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        if of(math.exp(left)) < of(math.exp(right)):
            high = right
        else:
            low = left
    return math.exp((low + high) / 2)
