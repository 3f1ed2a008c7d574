"""One metric on the same items of two models.

Statistics speak of ``d``, variant minus base turned so that ``+`` is better; results speak of ``delta``, variant minus
base in the metric's own sign. :class:`Paired` is where one becomes the other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from fairopt.audit.rule import ALL, Direction
from fairopt.benchmarks import Columns, Metric

Values = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Paired:
    """Values of one metric, one entry an item that the metric is about; NaN where undefined."""

    metric: Metric
    base: Values
    variant: Values
    base_preference: Values  # the margin behind a binary value, else the value
    variant_preference: Values
    groups: npt.NDArray[np.str_]
    axes: npt.NDArray[np.str_]
    clusters: npt.NDArray[Any]  # labels of any kind
    columns: tuple[Columns, Columns] = field(default_factory=lambda: ({}, {}))  # what a ratio is computed from
    harm: Direction = "either"  # which change of the value is the harmful one

    @classmethod
    def of(cls, metric: Metric, base: Columns, variant: Columns) -> Paired:
        """Evaluate the metric on two item tables that are in the same order."""
        if metric.applies is not None:
            chosen = metric.applies(base)
            base, variant = chosen_rows(base, chosen), chosen_rows(variant, chosen)
        preference = metric.preference or metric.value
        return cls(
            metric,
            metric.value(base),
            metric.value(variant),
            preference(base),
            preference(variant),
            base[metric.by],
            base["axis"] if metric.by == "group" else np.full(len(base["group"]), metric.by),
            np.unique(base["cluster_id"], return_inverse=True)[1],  # numbers, which are faster to tell apart
            (base, variant) if metric.kind == "ratio" else ({}, {}),
            metric.harm,
        )

    def where(self, chosen: Mask) -> Paired:
        """The chosen items only."""
        arrays: dict[str, Any] = {
            name: value[chosen]
            for name in self.__dataclass_fields__
            if isinstance(value := getattr(self, name), np.ndarray)
        }
        base, variant = self.columns
        return replace(self, **arrays, columns=(chosen_rows(base, chosen), chosen_rows(variant, chosen)))

    def group(self, name: str) -> Paired:
        """The items of one group; all of them for ``all``."""
        return self if name == ALL else self.where(self.groups == name)

    @property
    def sign(self) -> int:
        """What turns ``delta`` into ``d``."""
        return 1 if self.harm == "lower" else -1

    @cached_property
    def d(self) -> Values:
        """Change of each item; ``+`` is better."""
        return np.asarray(self.sign * (self.variant - self.base))

    @property
    def kind(self) -> str:
        """``binary``, ``continuous`` or ``ratio``."""
        return self.metric.kind

    @property
    def binary(self) -> bool:
        """Whether items are right or wrong."""
        return self.metric.kind == "binary"

    @cached_property
    def n_clusters(self) -> int:
        """Distinct clusters among the items."""
        return len(np.unique(self.clusters))

    @cached_property
    def missing(self) -> str:
        """Why no number can be given for these items; empty where one can."""
        undefined = int(np.isnan(self.d).sum()) if self.kind != "ratio" else 0
        return f"{undefined} of {len(self.d)} items have no score" if undefined else ""

    @cached_property
    def levels(self) -> tuple[float, float]:
        """The metric over these items, in the base and in the variant; NaN where undefined."""
        if self.kind == "ratio":
            statistic = self.metric.statistic
            assert statistic is not None
            base, variant = self.columns
            return float(statistic(base)), float(statistic(variant))
        if len(self.base) == 0:
            return math.nan, math.nan
        return float(np.mean(self.base)), float(np.mean(self.variant))

    @cached_property
    def influences(self) -> tuple[Values, Values]:
        """Of every item on the two levels; they sum to 0."""
        if self.kind == "ratio":
            influence = self.metric.influence
            assert influence is not None
            base, variant = self.columns
            return influence(base), influence(variant)
        n = len(self.base)
        return (self.base - self.levels[0]) / n, (self.variant - self.levels[1]) / n

    @property
    def support(self) -> int:
        """Items in the denominator, the smaller of the two models'."""
        if self.metric.support is None:
            return len(self.base)
        base, variant = self.columns
        return min(self.metric.support(base), self.metric.support(variant))

    def cluster_counts(self, *chosen: Mask) -> tuple[npt.NDArray[np.int64], ...]:
        """How many items each cluster has, and how many of each choice."""
        _, cluster = np.unique(self.clusters, return_inverse=True)
        return np.bincount(cluster), *(np.bincount(cluster[c], minlength=self.n_clusters) for c in chosen)

    def oriented(self, estimate: float, low: float, high: float) -> tuple[float, float, float]:
        """An estimate of ``d`` with its interval, as ``delta``; and the other way round."""
        return (estimate, low, high) if self.sign > 0 else (0.0 - estimate, 0.0 - high, 0.0 - low)


def chosen_rows(columns: Columns, chosen: Mask) -> Mapping[str, npt.NDArray[Any]]:
    """The chosen rows of an item table."""
    return {name: column[chosen] for name, column in columns.items()}
