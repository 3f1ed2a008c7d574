"""One metric on the same items of two models: the paired change of all items and of each group.

Statistics speak of ``d``, variant minus base turned so that ``+`` is better; results speak of ``delta``, variant minus
base in the metric's own sign. :class:`Paired` is where one becomes the other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from fairopt import stats
from fairopt.audit.policy import ALL
from fairopt.audit.result import GroupEffect
from fairopt.benchmarks import Columns, Metric

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Paired:
    """Values of one metric, one entry an item; NaN where undefined."""

    metric: Metric
    base: Values
    variant: Values
    base_preference: Values  # the margin behind a binary value, else the value
    variant_preference: Values
    groups: npt.NDArray[np.str_]
    axes: npt.NDArray[np.str_]
    clusters: npt.NDArray[np.str_]

    @classmethod
    def of(cls, metric: Metric, base: Columns, variant: Columns) -> Paired:
        """Evaluate the metric on two item tables that are in the same order."""
        preference = metric.preference or metric.value
        return cls(
            metric,
            metric.value(base),
            metric.value(variant),
            preference(base),
            preference(variant),
            base["group"],
            base["axis"],
            base["cluster_id"],
        )

    def where(self, chosen: npt.NDArray[np.bool_]) -> Paired:
        """The chosen items only."""
        arrays: dict[str, Any] = {
            name: getattr(self, name)[chosen] for name in self.__dataclass_fields__ if name != "metric"
        }
        return replace(self, **arrays)

    def group(self, name: str) -> Paired:
        """The items of one group; all of them for ``all``."""
        return self if name == ALL else self.where(self.groups == name)

    @property
    def sign(self) -> int:
        """What turns ``delta`` into ``d``."""
        return 1 if self.metric.harm == "lower" else -1

    @cached_property
    def d(self) -> Values:
        """Change of each item; ``+`` is better."""
        return np.asarray(self.sign * (self.variant - self.base))

    @property
    def binary(self) -> bool:
        """Whether items are right or wrong."""
        return self.metric.kind == "binary"

    @property
    def n_clusters(self) -> int:
        """Distinct clusters among the items."""
        return len(np.unique(self.clusters))

    @property
    def undefined(self) -> int:
        """Items without a number in either model."""
        return int(np.isnan(self.d).sum())

    def oriented(self, estimate: float, low: float, high: float) -> tuple[float, float, float]:
        """An estimate of ``d`` with its interval, as ``delta``; and the other way round."""
        return (estimate, low, high) if self.sign > 0 else (0.0 - estimate, 0.0 - high, 0.0 - low)


def test(paired: Paired, margin: float, alpha: float) -> stats.PairedTest:
    """Is the mean change not worse than ``margin``? By the default procedure for the metric (docs/statistics.md)."""
    if paired.undefined:
        empty = stats.paired_binary(0, 0, 0, margin=margin, alpha=alpha)
        return replace(empty, reason=f"{paired.undefined} of {len(paired.d)} items have no score")
    if not paired.binary:
        return stats.paired_mean(paired.d, paired.clusters, margin=margin, alpha=alpha)
    worse, better = paired.d < 0, paired.d > 0
    if paired.n_clusters == len(paired.d):
        return stats.paired_binary(int(worse.sum()), int(better.sum()), len(paired.d), margin=margin, alpha=alpha)
    _, cluster = np.unique(paired.clusters, return_inverse=True)
    harmful, beneficial = (np.bincount(cluster[chosen], minlength=paired.n_clusters) for chosen in (worse, better))
    return stats.paired_binary_clustered(harmful, beneficial, np.bincount(cluster), margin=margin, alpha=alpha)


def contrasts(paired: Paired, alpha: float) -> dict[str, stats.Contrast]:
    """Who pays: each group's change against the mean of the other groups of its axis; axes of one group have none."""
    found: dict[str, stats.Contrast] = {}
    for axis in np.unique(paired.axes):
        of_axis = paired.where(paired.axes == axis)
        names = np.unique(of_axis.groups)
        if len(names) < 2:
            continue
        groups = [of_axis.group(str(name)) for name in names]
        if paired.binary and of_axis.n_clusters == len(of_axis.d):
            worse = [int((g.d < 0).sum()) for g in groups]
            better = [int((g.d > 0).sum()) for g in groups]
            sizes = [0 if g.undefined else len(g.d) for g in groups]
            rows = stats.who_pays_binary([str(n) for n in names], worse, better, sizes, alpha=alpha)
        else:
            rows = stats.who_pays(of_axis.d, of_axis.groups, of_axis.clusters, alpha=alpha)
        found |= {row.group: row for row in rows}
    return found


def group_effects(paired: Paired, again: Paired, alpha: float) -> tuple[GroupEffect, ...]:
    """All items first, then the groups in alphabetical order. ``again`` is base against base."""
    who = contrasts(paired, alpha)
    # Rounding can differ by group and be perfectly consistent: what no item exceeds by itself is no finding.
    floor = float(np.max(np.abs(again.d), initial=0.0)) if paired.metric.kind == "continuous" else 0.0
    names = [ALL, *(str(group) for group in np.unique(paired.groups))]
    return tuple(_effect(paired.group(name), name, who.get(name), floor, alpha) for name in names)


def _effect(p: Paired, name: str, contrast: stats.Contrast | None, floor: float, alpha: float) -> GroupEffect:
    tested = test(p, p.metric.margin, alpha)  # the interval does not depend on the margin
    delta, low, high = p.oriented(tested.estimate, tested.low, tested.high)
    tau, tau_low, tau_high, tau_p, no_claim = math.nan, math.nan, math.nan, math.nan, ""
    if contrast is not None:
        tau, tau_low, tau_high = p.oriented(contrast.estimate, contrast.low, contrast.high)
        tau_p, no_claim = contrast.p_holm, contrast.reason or contrast.no_claim
    return GroupEffect(
        group=name,
        axis="" if name == ALL else str(p.axes[0]),
        n=len(p.d),
        n_clusters=p.n_clusters,
        base=float(np.mean(p.base)),
        variant=float(np.mean(p.variant)),
        delta=delta,
        low=low,
        high=high,
        worse=int((p.d < 0).sum()) if p.binary else None,
        better=int((p.d > 0).sum()) if p.binary else None,
        ties_base=int((p.base_preference == 0).sum()) if p.binary else 0,
        ties_variant=int((p.variant_preference == 0).sum()) if p.binary else 0,
        tau=tau,
        tau_low=tau_low,
        tau_high=tau_high,
        tau_p=tau_p,
        pays=tau_p <= alpha and abs(tau) > floor and not no_claim,
        reason=tested.reason or no_claim or tested.no_ship,
    )
