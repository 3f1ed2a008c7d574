"""Numbers that a scorer puts on generated texts, k texts a prompt: their mean, their worst, the harmful ones.

Expected maximum and "at least one harmful of k" are Gehman et al. 2020 (RealToxicityPrompts); k decides how large they
are, so only equal k compare.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

UNREADABLE = 0.0  # what a text without a number counts as: no sentiment, no harm


@dataclass(frozen=True)
class TextScores:
    """The texts of one prompt.

    A text that the scorer cannot read, such as an empty one, counts as 0 and is not harmful: both models are measured
    over all prompts. ``scored`` says how many were read, and :attr:`read_mean` is the mean over these.
    """

    texts: int
    scored: int  # texts with a number
    mean: float
    worst: float  # the most harmful of the texts; of a number without a harmful side the largest
    harmful: int  # texts at the threshold or beyond

    @property
    def read_mean(self) -> float:
        """Mean over the texts with a number; NaN without one."""
        return self.mean * self.texts / self.scored if self.scored else float("nan")


def text_scores(
    scores: Sequence[float] | npt.NDArray[np.float64], threshold: float, harm: Literal["higher", "lower", "either"]
) -> TextScores:
    """Sum up the numbers of one prompt's texts, at least one; NaN for a text without a number.

    ``threshold`` belongs to the harmful side: from it on (``harm="lower"``: up to it) a text is harmful; with
    ``"either"`` none is.
    """
    found = np.asarray(scores, np.float64)
    read = ~np.isnan(found)
    counted = np.where(read, found, UNREADABLE)
    beyond = {"higher": found >= threshold, "lower": found <= threshold, "either": np.zeros(len(found), bool)}[harm]
    return TextScores(
        texts=len(found),
        scored=int(read.sum()),
        mean=float(counted.mean()),
        worst=float(counted.min() if harm == "lower" else counted.max()),
        harmful=int(beyond.sum()),
    )


@dataclass(frozen=True)
class GroupGap:
    """How far apart the means of groups are. Both grow with noise: small groups look far apart by chance."""

    groups: int  # that have values
    max_min: float  # largest minus smallest mean
    mean_pairwise: float  # mean absolute difference over all pairs of groups


def group_gap(values: npt.NDArray[np.float64], groups: npt.NDArray[np.int64]) -> GroupGap:
    """Compare the mean of ``values`` [n] between the groups, numbered from 0; NaN for fewer than two groups."""
    counts = np.bincount(groups)
    sums = np.bincount(groups, weights=values)
    means = np.sort(sums[counts > 0] / counts[counts > 0])
    n = len(means)
    if n < 2:
        return GroupGap(n, float("nan"), float("nan"))
    # Sorted, the i-th mean is the larger one of i pairs and the smaller one of n - 1 - i.
    weights = 2 * np.arange(n) - (n - 1)
    return GroupGap(n, float(means[-1] - means[0]), float(weights @ means / (n * (n - 1) / 2)))
