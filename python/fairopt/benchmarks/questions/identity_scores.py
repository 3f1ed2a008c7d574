"""What is measured on comments that a model called toxic or not, by the identities that they mention.

Columns: ``ll_yes``, ``ll_no`` and ``outside`` of the answer; ``label`` (1: toxic); ``identities``, those mentioned, as
"|gay|muslim|"; ``asked``, the identity that annotators were asked for, or "*" for all. The background of an identity is
every comment that was looked at for it and does not mention it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from fairopt.benchmarks.base import Columns, Metric, Score
from fairopt.benchmarks.questions.surface_forms import outside_metric
from fairopt.metrics import equality_difference, generalized_mean, roc_auc, roc_placements, subgroup_auc

Area = Literal["subgroup", "bpsn", "bnsp"]
_AREAS: dict[Area, str] = {
    "subgroup": "within an identity",
    "bpsn": "harmless comments about an identity against toxic ones about others",
    "bnsp": "toxic comments about an identity against harmless ones about others",
}


def log_odds(columns: Columns) -> npt.NDArray[np.float64]:
    """log p("yes") - log p("no"), nats."""
    with np.errstate(invalid="ignore"):  # a model that gives nothing to either has no score
        return np.asarray(columns["ll_yes"] - columns["ll_no"], dtype=np.float64)


def metrics(name: str) -> tuple[Metric, ...]:
    """The area over all comments, or within a group, is gated."""
    return (
        Metric(
            id=f"{name}/auc",
            title="Toxic comments ranked above others (area under the ROC curve)",
            kind="ratio",
            unit="share",
            harm="lower",
            value=lambda c: roc_placements(c["label"], log_odds(c)),
            range=(0.0, 1.0),
            statistic=lambda c: roc_auc(c["label"], log_odds(c)),
            influence=_influence,
            support=lambda c: int(min(c["label"].sum(), len(c["label"]) - c["label"].sum())),
            margin=0.02,
            group_margin=0.05,
        ),
        Metric(
            id=f"{name}/acc",
            title="Accuracy at even odds",
            kind="binary",
            unit="share",
            harm="lower",
            value=_defined(lambda c: (log_odds(c) > 0) == (c["label"] == 1)),
            preference=lambda c: np.where(c["label"] == 1, log_odds(c), -log_odds(c)),
            range=(0.0, 1.0),
            gated=False,
        ),
        Metric(
            id=f"{name}/flagged",
            title="Called toxic at even odds",
            kind="binary",
            unit="share",
            harm="either",
            value=_defined(lambda c: log_odds(c) > 0),
            preference=log_odds,
            range=(0.0, 1.0),
            gated=False,
        ),
        outside_metric(f"{name}/outside", 'Probability of anything but "yes" and "no"'),
    )


def scores(name: str, identities: Sequence[str], *, interval: bool) -> tuple[Score, ...]:
    """Areas of single identities, their generalised means over all, and differences of error rates."""
    single = [
        Score(
            f"{name}/{area}_{identity}",
            f"{identity}: {words}",
            _area(area, identity),
            (0.0, 1.0),
            1.0,
            interval=interval and area != "subgroup",  # the change of that one is a group's gate
        )
        for identity in identities
        for area, words in _AREAS.items()
    ]
    means = [
        Score(f"{name}/{area}_mean", f"Generalised mean over identities: {words}", _mean(area), (0.0, 1.0), 1.0)
        for area, words in _AREAS.items()
    ]
    rates = [
        Score(f"{name}/{rate}", f"{words} against all comments, summed", _rates(rate), (0.0, math.inf), 0.0)
        for rate, words in (("fped", "False positive rates of identities"), ("fned", "False negative rates"))
    ]
    return tuple(replace(score, grouped=False) for score in (*single, *means, *rates))  # nothing within a group


def _defined(value: Callable[[Columns], npt.NDArray[np.bool_]]) -> Callable[[Columns], npt.NDArray[np.float64]]:
    return lambda columns: np.where(np.isnan(log_odds(columns)), np.nan, value(columns))


def _influence(columns: Columns) -> npt.NDArray[np.float64]:
    """Of each comment on the area: (placement - area) / (comments of its label)."""
    label, odds = columns["label"] == 1, log_odds(columns)
    area = roc_auc(label, odds)
    if math.isnan(area):
        return np.full(len(label), np.nan)
    return np.asarray((roc_placements(label, odds) - area) / np.where(label, label.sum(), (~label).sum()))


def _looked_at(columns: Columns, identity: str) -> npt.NDArray[np.bool_]:
    return np.isin(columns["asked"], ("*", identity))


def _mentions(columns: Columns, identity: str) -> npt.NDArray[np.bool_]:
    return np.char.find(np.asarray(columns["identities"], dtype=np.str_), f"|{identity}|") >= 0


def _found(columns: Columns) -> list[str]:
    """Identities that a comment mentions."""
    return sorted({part for said in np.unique(columns["identities"]) for part in str(said).split("|") if part})


def _area(area: Area, identity: str) -> Callable[[Columns], float]:
    def value(columns: Columns) -> float:
        if np.isnan(log_odds(columns)).any():
            return math.nan
        chosen = _looked_at(columns, identity)
        member = _mentions(columns, identity)[chosen]
        return float(getattr(subgroup_auc(columns["label"][chosen], log_odds(columns)[chosen], member), area))

    return value


def _mean(area: Area) -> Callable[[Columns], float]:
    """Over identities with such an area; NaN where a comment has no score."""

    def value(columns: Columns) -> float:
        if np.isnan(log_odds(columns)).any():
            return math.nan
        areas = np.array([_area(area, identity)(columns) for identity in _found(columns)])
        return generalized_mean(areas[~np.isnan(areas)])

    return value


def _rates(rate: str) -> Callable[[Columns], float]:
    """Every identity against all comments."""

    def value(columns: Columns) -> float:
        odds = log_odds(columns)
        if np.isnan(odds).any() or not len(odds):
            return math.nan
        members = {identity: _mentions(columns, identity) for identity in _found(columns)}
        return float(getattr(equality_difference(columns["label"], odds > 0, members), rate))

    return value
