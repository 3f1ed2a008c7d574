"""What a benchmark reports beside its metrics: the numbers its authors publish, calibration, and bias states."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from fairopt.audit.paired import Mask
from fairopt.audit.result import Calibration, ReliabilityBin, ScoreResult
from fairopt.audit.rule import ALL
from fairopt.benchmarks import Benchmark, Columns, Score
from fairopt.metrics import Reliability, brier, reliability

RESAMPLES = 499


def score_results(benchmark: Benchmark, base: Columns, variant: Columns, seed: int) -> Iterator[ScoreResult]:
    """Every score for all items, then for each group. ``seed`` is of the resamples behind intervals."""
    for score in benchmark.scores:
        groups = [str(name) for name in np.unique(base["group"])] if score.grouped else []
        for group in (ALL, *groups):
            chosen = base["group"] == group if group != ALL else np.ones(len(base["group"]), bool)
            if group == ALL or score.applies is None or (chosen & score.applies(base)).any():
                yield _score_result(benchmark.name, score, group, (base, variant), chosen, seed)


def _score_result(
    benchmark: str, score: Score, group: str, sides: tuple[Columns, Columns], chosen: Mask, seed: int
) -> ScoreResult:
    rows = np.flatnonzero(chosen)
    before, after = (float(score.value(Rows(side, rows))) for side in sides)
    undefined = " and ".join(name for name, value in (("base", before), ("variant", after)) if math.isnan(value))
    low, high = _interval(score, sides, rows, seed) if score.interval and not undefined else (math.nan, math.nan)
    return ScoreResult(
        benchmark=benchmark,
        id=score.id,
        title=score.title,
        group=group,
        n=int((chosen if score.applies is None else chosen & score.applies(sides[0])).sum()),
        base=before,
        variant=after,
        ideal=score.ideal,
        reason=f"undefined for the {undefined}" if undefined else "",
        low=low,
        high=high,
    )


def _interval(
    score: Score, sides: tuple[Columns, Columns], rows: npt.NDArray[np.intp], seed: int
) -> tuple[float, float]:
    """Of the change, two-sided 90 %: whole clusters are drawn once for both sides; NaN from fewer than two clusters.

    A resample without a value, such as one without an item of a group, is left out; NaN where one in ten is.
    """
    _, cluster = np.unique(sides[0]["cluster_id"][rows], return_inverse=True)
    order, ends = np.argsort(cluster, kind="stable"), np.cumsum(np.bincount(cluster))
    members = np.split(rows[order], ends[:-1])
    if len(members) < 2:
        return math.nan, math.nan
    rng = np.random.Generator(np.random.Philox(key=[seed, *_key(score.id)]))
    changes = []
    for _ in range(RESAMPLES):
        drawn = np.concatenate([members[index] for index in rng.integers(len(members), size=len(members))])
        base, variant = (score.value(Rows(side, drawn)) for side in sides)
        changes.append(variant - base)
    kept = [change for change in changes if not math.isnan(change)]
    if len(kept) < 0.9 * RESAMPLES:
        return math.nan, math.nan
    low, high = np.quantile(kept, [0.05, 0.95])
    return float(low), float(high)


def _key(name: str) -> tuple[int]:
    return (int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little"),)


class Rows(Mapping[str, npt.NDArray[Any]]):
    """Chosen rows of an item table; a column is copied when it is looked at."""

    def __init__(self, columns: Columns, rows: npt.NDArray[np.intp]) -> None:
        self._columns, self._rows = columns, rows
        self._seen: dict[str, npt.NDArray[Any]] = {}

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        if name not in self._seen:
            self._seen[name] = self._columns[name][self._rows]
        return self._seen[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)


def calibration(benchmark: Benchmark, base: Columns, variant: Columns) -> Calibration | None:
    """Confidence against accuracy over the items that have a key; None where the benchmark has no confidences."""
    confidence = benchmark.confidence
    if confidence is None:
        return None
    sides = [confidence(columns) for columns in (base, variant)]
    keyed = ~np.isnan(sides[0][0]) & ~np.isnan(sides[1][0])
    if not keyed.any():
        return None
    found = [reliability(p[keyed], right[keyed]) for p, right in sides]
    briers = [brier(p[keyed], right[keyed]) for p, right in sides]
    return Calibration(
        benchmark=benchmark.name,
        n=int(keyed.sum()),
        ece_id=f"ece/{found[0].id}",
        ece_base=found[0].ece,
        ece_variant=found[1].ece,
        brier_base=briers[0],
        brier_variant=briers[1],
        bins_base=_bins(found[0]),
        bins_variant=_bins(found[1]),
    )


def _bins(found: Reliability) -> tuple[ReliabilityBin, ...]:
    return tuple(ReliabilityBin(b.low, b.high, b.n, b.confidence, b.accuracy) for b in found.bins)
