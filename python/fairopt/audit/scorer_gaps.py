"""How far apart the scorers of an audit put the same neutral sentence about different people."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from fairopt import scorers
from fairopt.audit.result import ScorerGap
from fairopt.benchmarks import Benchmark, Generate
from fairopt.scorers.identity import identity_bias


def scorer_gaps(benchmarks: Sequence[Benchmark]) -> list[ScorerGap]:
    """A line for each number and axis of the scorers that the benchmarks use."""
    names = dict.fromkeys(
        name for benchmark in benchmarks if isinstance(benchmark.ask, Generate) for name in benchmark.ask.scorers
    )
    return [gap for name in names for gap in _gaps(name)]


def _gaps(name: str) -> Iterator[ScorerGap]:
    found = identity_bias(scorers.get(name))
    for number in found.numbers:
        rows = {(row.axis, row.term): row for row in number.terms}
        for axis in number.axes:
            low, high = rows[axis.axis, axis.lowest], rows[axis.axis, axis.highest]
            worse = low if number.harm == "lower" else high
            yield ScorerGap(
                scorer=found.id,
                number=number.number,
                axis=axis.axis,
                sentences=found.sentences,
                lowest=low.term,
                low=low.mean,
                highest=high.term,
                high=high.mean,
                plain=None if math.isnan(number.plain) else number.plain,
                flagged=None if math.isnan(worse.flagged) else worse.flagged,
            )
