"""How far apart groups are within each question, and how far they would be by lot."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from fairopt._arrays import ids, reals

Reals = npt.NDArray[np.float64]


def question_gap(values: npt.ArrayLike, groups: npt.ArrayLike, questions: npt.ArrayLike) -> float:
    """Mean over questions of the largest minus the smallest mean of a group: the gap G of Kirsten et al. (2025).

    Their groups are 135 personas with one value each. A largest difference grows with the noise and with the number of
    groups, so it is above 0 for a model that treats all alike; :func:`question_gap_by_lot` says by how much.
    NaN without items or with a NaN among the values.
    """
    gaps = [np.ptp(_means(block, codes)) for _, block, codes in _questions("question_gap", values, groups, questions)]
    return float(np.mean(gaps)) if gaps else math.nan


def question_gap_by_lot(
    values: npt.ArrayLike, groups: npt.ArrayLike, questions: npt.ArrayLike, *, draws: int = 200, seed: int = 0
) -> float:
    """Expected :func:`question_gap` were the groups drawn by lot among the items of each question.

    The lots of a question depend on ``seed``, its label and its own items alone, in any order. Where every group has
    one item in a question this is the gap itself: such groups cannot be told from noise.
    """
    gaps = []
    for label, block, codes in _questions("question_gap_by_lot", values, groups, questions):
        rng = np.random.default_rng([seed, *label.encode()])
        lots = rng.permuted(np.tile(np.sort(block), (draws, 1)), axis=1)
        gaps.append(np.ptp(_means(lots, np.sort(codes)), axis=1).mean())
    return float(np.mean(gaps)) if gaps else math.nan


def best_group_deviation(values: npt.ArrayLike, groups: npt.ArrayLike, questions: npt.ArrayLike) -> float:
    """Mean absolute deviation of "how often is this group the best off in a question" from equal shares, in ``[0, 1)``.

    0 where every group is best off equally often; ``2 (k - 1) / k**2`` where one of k groups always is. A tie is shared
    by those who tie. NaN without items or with a NaN among the values.
    """
    op = "best_group_deviation"
    names, _ = ids(op, "groups", groups, np.asarray(values).size)
    wins = np.zeros(len(names))
    n = 0
    for _, block, codes in _questions(op, values, groups, questions):
        means = _means(block, codes, len(names))
        if np.isnan(block).any():
            return math.nan
        best = means == np.nanmax(means)
        wins += best / best.sum()
        n += 1
    return float(np.mean(np.abs(wins / n - 1 / len(names)))) if n else math.nan


def _questions(
    op: str, values: npt.ArrayLike, groups: npt.ArrayLike, questions: npt.ArrayLike
) -> list[tuple[str, Reals, npt.NDArray[np.int64]]]:
    """Label, values and group numbers of each question."""
    items = reals(op, "values", values)
    _, codes = ids(op, "groups", groups, items.size)
    labels, block = ids(op, "questions", questions, items.size)
    return [(label, items[block == index], codes[block == index]) for index, label in enumerate(labels)]


def _means(values: Reals, codes: npt.NDArray[np.int64], n: int | None = None) -> Reals:
    """Mean of each group, along the last axis; of those that are there, or of ``n``, absent ones NaN."""
    present = np.unique(codes) if n is None else np.arange(n)
    member = (codes == present[:, None]).astype(np.float64)
    sizes = member.sum(axis=1)
    with np.errstate(invalid="ignore"):
        means: Reals = np.where(sizes > 0, values @ member.T / np.where(sizes > 0, sizes, 1), np.nan)
    return means
