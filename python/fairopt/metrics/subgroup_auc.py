"""Does a score of texts mistake the mention of an identity for what it should find, such as toxicity?

Borkan et al. (2019), "Nuanced metrics for measuring unintended bias with real data for text classification", section
3: three areas under the ROC curve for each identity, which need no threshold. Dixon et al. (2018), "Measuring and
mitigating unintended bias in text classification", section 4.2: error rates of each identity against those of all
texts, at one threshold. Identities may overlap: a text can mention two.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fairopt._arrays import reals


@dataclass(frozen=True)
class SubgroupAuc:
    """The three areas of one identity, each in [0, 1]; 1/2 is a score that tells nothing.

    A low ``bpsn`` says that harmless texts about the identity score as high as harmful ones about others: false alarms.
    A low ``bnsp`` says that harmful texts about it score as low as harmless ones about others: misses.
    """

    positives: int  # texts of the subgroup that are positive
    negatives: int
    subgroup: float  # within the subgroup
    bpsn: float  # background positive, subgroup negative
    bnsp: float  # background negative, subgroup positive


@dataclass(frozen=True)
class EqualityDifference:
    """Sums of absolute differences of error rates, over subgroups in which the rate is defined; 0 is no difference."""

    fped: float  # of false positive rates; NaN where no subgroup has a negative text
    fned: float  # of false negative rates; NaN where no subgroup has a positive text
    n_fped: int  # subgroups in the sum
    n_fned: int


def roc_auc(y_true: npt.ArrayLike, y_score: npt.ArrayLike) -> float:
    """Compute how often a positive item scores above a negative one, a tie counting half: the area under the ROC curve.

    Args:
        y_true: whether an item is positive, ``[n]``.
        y_score: higher is more positive, ``[n]``.

    Returns:
        A share in [0, 1]; NaN without a positive, without a negative, or where an item has no score.

    Raises:
        ValueError: for unequal lengths or another type.
    """
    return _area(*_columns("roc_auc", y_true, y_score))


def roc_placements(y_true: npt.ArrayLike, y_score: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Compute the share of the other class that each item is on the right side of, a tie counting half: ``[n]``.

    The mean over the positive items, and the mean over the negative ones, is the area under the ROC curve; an item's
    influence on it is (placement - area) / (number of its class) (DeLong et al. 1988). All NaN where the area is.
    Raises as :func:`roc_auc`.
    """
    positive, score = _columns("roc_placements", y_true, y_score)
    if math.isnan(_area(positive, score)):
        return np.full(score.size, np.nan)
    distinct, code = np.unique(score, return_inverse=True)
    above = np.bincount(code, weights=positive, minlength=distinct.size)
    below = np.bincount(code, weights=~positive, minlength=distinct.size)
    wins = np.cumsum(below) - below / 2
    losses = above.sum() - np.cumsum(above) + above / 2
    return np.asarray(np.where(positive, wins[code] / below.sum(), losses[code] / above.sum()), dtype=np.float64)


def subgroup_auc(y_true: npt.ArrayLike, y_score: npt.ArrayLike, member: npt.ArrayLike) -> SubgroupAuc:
    """Compute the areas for the items of a subgroup (``member``, ``[n]``) against all other items, the background.

    NaN where one of the two sides of an area is empty, or one of its items has no score. Raises as :func:`roc_auc`.
    """
    positive, score = _columns("subgroup_auc", y_true, y_score)
    inside = _truth("subgroup_auc", "member", member, score.size)
    within, bpsn, bnsp = inside, inside ^ positive, inside == positive
    return SubgroupAuc(
        positives=int((inside & positive).sum()),
        negatives=int((inside & ~positive).sum()),
        subgroup=_area(positive[within], score[within]),
        bpsn=_area(positive[bpsn], score[bpsn]),
        bnsp=_area(positive[bnsp], score[bnsp]),
    )


def generalized_mean(values: npt.ArrayLike, power: float = -5.0) -> float:
    """Combine the areas of several subgroups so that the worst weigh most: (mean of value ** power) ** (1 / power).

    ``power`` -5 is that of Jigsaw's "Unintended Bias in Toxicity Classification" (2019). 0 where a value is 0 and the
    power is negative; NaN without values or where one is NaN.

    Raises:
        ValueError: for a negative value, or a power of 0.
    """
    array = reals("generalized_mean", "values", values)
    if not power:
        raise ValueError(f"generalized_mean: power must not be 0, got {power}")
    if (array < 0).any():
        raise ValueError(f"generalized_mean: values must not be negative, got {array.min()}")
    if not array.size or np.isnan(array).any():
        return math.nan
    if power < 0 and not array.all():
        return 0.0
    return float(np.mean(array**power) ** (1 / power))


def equality_difference(
    y_true: npt.ArrayLike, y_pred: npt.ArrayLike, members: Mapping[str, npt.ArrayLike]
) -> EqualityDifference:
    """Compare the error rates of each subgroup with those of all items: FPED and FNED (Dixon et al. 2018).

    Args:
        y_true: whether an item is positive, ``[n]``.
        y_pred: whether it is predicted positive, ``[n]``.
        members: for each subgroup which items are of it, ``[n]`` each.

    Raises:
        ValueError: for unequal lengths or another type.
    """
    op = "equality_difference"
    positive = _truth(op, "y_true", y_true, None)
    predicted = _truth(op, "y_pred", y_pred, positive.size)
    inside = [_truth(op, f"members[{name!r}]", member, positive.size) for name, member in members.items()]
    fped, n_fped = _gaps(predicted, [own & ~positive for own in inside], ~positive)
    fned, n_fned = _gaps(~predicted, [own & positive for own in inside], positive)
    return EqualityDifference(fped, fned, n_fped, n_fned)


def _gaps(
    wrong: npt.NDArray[np.bool_], subgroups: Sequence[npt.NDArray[np.bool_]], everyone: npt.NDArray[np.bool_]
) -> tuple[float, int]:
    """Sum of the subgroups' differences from the error rate of ``everyone``, and how many have one."""
    gaps = [abs(wrong[everyone].mean() - wrong[own].mean()) for own in subgroups if own.any()]
    return float(sum(gaps)) if gaps else math.nan, len(gaps)


def _area(positive: npt.NDArray[np.bool_], score: npt.NDArray[np.float64]) -> float:
    """Mann-Whitney's U over its maximum."""
    n_positive = int(positive.sum())
    n_negative = positive.size - n_positive
    if not n_positive or not n_negative or np.isnan(score).any():
        return math.nan
    distinct, code = np.unique(score, return_inverse=True)
    above = np.bincount(code, weights=positive, minlength=distinct.size)
    below = np.bincount(code, weights=~positive, minlength=distinct.size)
    wins = above * (np.cumsum(below) - below / 2)
    return float(wins.sum() / (n_positive * n_negative))


def _columns(
    op: str, y_true: npt.ArrayLike, y_score: npt.ArrayLike
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    score = reals(op, "y_score", y_score)
    return _truth(op, "y_true", y_true, score.size), score


def _truth(op: str, argument: str, value: npt.ArrayLike, n: int | None) -> npt.NDArray[np.bool_]:
    array = np.asarray(value)
    if array.ndim != 1 or (n is not None and array.size != n):
        raise ValueError(f"{op}: {argument} must be one truth value for each of {n} items, got shape {array.shape}")
    if array.size and (array.dtype.kind not in "iub" or not np.isin(array, (0, 1)).all()):
        raise ValueError(f"{op}: {argument} must be truth values, got {array[:3]}")
    return array.astype(np.bool_)
