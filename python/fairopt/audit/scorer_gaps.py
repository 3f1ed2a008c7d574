"""How far apart the scorers of an audit put the same neutral sentence about different people."""

from __future__ import annotations

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
        means = {(row.axis, row.term): row.mean for row in number.terms}
        for axis in number.axes:
            yield ScorerGap(
                scorer=found.id,
                number=number.number,
                axis=axis.axis,
                sentences=found.sentences,
                lowest=axis.lowest,
                low=means[axis.axis, axis.lowest],
                highest=axis.highest,
                high=means[axis.axis, axis.highest],
            )
