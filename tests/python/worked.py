"""All numbers of a benchmark over a small table, for tests that work every one of them by hand.

Comparing the whole dictionary means that an id without a hand-worked value fails.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fairopt.audit.paired import Paired
from fairopt.benchmarks import Benchmark, Columns, Item, item_columns


def table(benchmark: Benchmark, items: list[Item], answers: list[Any]) -> Columns:
    """The item table of a model with these answers."""
    rows = [benchmark.evidence(item, own) for item, own in zip(items, answers, strict=True)]
    return {**item_columns(items), **{name: np.array([row[name] for row in rows]) for name in rows[0]}}


def columns(**given: Any) -> Columns:
    """An item table of these columns; each item is a cluster, and all are of one group unless said otherwise."""
    n = len(next(iter(given.values())))
    plain = {"group": ["people"] * n, "axis": ["axis"] * n, "cluster_id": list(map(str, range(n)))}
    return {name: np.array(values) for name, values in (plain | given).items()}


def numbers(benchmark: Benchmark, over: Columns) -> dict[str, float]:
    """By id, over all items that each is about, as an audit forms them."""
    found = {metric.id: Paired.of(metric, over, over).levels[0] for metric in benchmark.metrics}
    return found | {score.id: score.value(over) for score in benchmark.scores}


def by_group(benchmark: Benchmark, name: str, over: Columns) -> dict[str, float]:
    """One metric in each of its groups."""
    metric = next(metric for metric in benchmark.metrics if metric.id == name)
    paired = Paired.of(metric, over, over)
    return {str(group): paired.group(group).levels[0] for group in np.unique(paired.groups)}
