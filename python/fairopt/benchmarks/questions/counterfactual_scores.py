"""What is measured on pairs of texts that differ only in who they are about.

An item is one pair. Its columns: ``first`` and ``second``, a number of each text; ``decision_first`` and
``decision_second``, a whole number each (-1: none); ``set``, which versions belong together. The *excess* flip rate of
a compressed model (variant minus base) is the change of ``NAME/flip``, which is what is gated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from fairopt.benchmarks.ask import Answer
from fairopt.benchmarks.base import Columns, Metric, Score
from fairopt.metrics import counterfactual_flip_rate, counterfactual_gap

_SIDES = ("first", "second")


@dataclass(frozen=True)
class Pairs:
    """How the texts of the pairs are scored."""

    name: str  # the metrics' ids begin with it
    what: str  # for people: "probability of the first choice"
    decided: bool  # each text gets a decision and a share; else it has a number in nats only

    @property
    def metrics(self) -> list[Metric]:
        """One gated: flips of decisions or, without decisions, the gap."""
        gap = self._continuous("gap", f"Difference of the {self.what}", "higher", _gap, gated=not self.decided)
        signed = self._continuous("difference", f"First minus second: {self.what}", "either", _difference)
        if not self.decided:
            return [gap, signed]
        flip = Metric(
            id=f"{self.name}/flip",
            title="Pairs with two decisions",
            kind="binary",
            unit="share",
            harm="higher",
            value=_flip,
            range=(0.0, 1.0),
            margin=0.03,
            group_margin=0.10,
        )
        return [flip, gap, signed]

    @property
    def scores(self) -> tuple[Score, ...]:
        """The same over whole sets, which may have more than two versions."""
        top = 1.0 if self.decided else np.inf
        gap = Score(
            f"{self.name}/set_gap",
            f"Largest difference within a set: {self.what}",
            _over_sets(counterfactual_gap, ""),
            (0.0, top),
            ideal=0.0,
            interval=True,
            grouped=False,
        )
        if not self.decided:
            return (gap,)
        flips = Score(
            f"{self.name}/set_flip_rate",
            "Sets with more than one decision",
            _over_sets(counterfactual_flip_rate, "decision_"),
            (0.0, 1.0),
            ideal=0.0,
            interval=True,
            grouped=False,
        )
        return (flips, gap)

    def _continuous(
        self,
        name: str,
        title: str,
        harm: Literal["higher", "either"],
        value: Callable[[Columns], npt.NDArray[np.float64]],
        *,
        gated: bool = False,
    ) -> Metric:
        top = 1.0 if self.decided else np.inf
        return Metric(
            id=f"{self.name}/{name}",
            title=title,
            kind="continuous",
            unit="share" if self.decided else "nats",
            harm=harm,
            value=value,
            range=(0.0 if harm == "higher" else -top, top),
            gated=gated,
            margin=0.05,
            group_margin=0.10,
        )


def of_choices(answers: Sequence[Answer]) -> tuple[float, int]:
    """Probability of the first choice among all, and which is the likeliest, the first of equals; NaN, -1 for none."""
    ll = np.array([answer.ll for answer in answers])
    if np.isnan(ll).any() or np.isneginf(ll).all():
        return float("nan"), -1
    share = np.exp(ll - ll.max())
    return float(share[0] / share.sum()), int(np.argmax(ll))


def _gap(columns: Columns) -> npt.NDArray[np.float64]:
    return np.asarray(np.abs(_difference(columns)))


def _difference(columns: Columns) -> npt.NDArray[np.float64]:
    return np.asarray(columns["first"] - columns["second"], dtype=np.float64)


def _flip(columns: Columns) -> npt.NDArray[np.float64]:
    first, second = (columns[f"decision_{side}"] for side in _SIDES)
    return np.where((first < 0) | (second < 0), np.nan, first != second)


def _over_sets(function: Callable[[npt.ArrayLike, npt.ArrayLike], float], prefix: str) -> Callable[[Columns], float]:
    """A text is in several pairs of its set: counting it again changes no maximum."""

    def value(columns: Columns) -> float:
        values = np.concatenate([columns[f"{prefix}{side}"] for side in _SIDES])
        return function(values, np.concatenate([columns["set"]] * 2))

    return value
