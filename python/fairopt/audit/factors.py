"""How much the choices that a benchmark leaves open move its numbers: prompt wording, option order, decoding, seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fairopt.audit.result import FactorLevel, MetricResult, ScoreResult
from fairopt.audit.rule import ALL
from fairopt.benchmarks import Benchmark, without_levels

DEFAULTS = "defaults"


def factor_levels(
    asked: Sequence[Benchmark], metrics: Sequence[MetricResult], scores: Sequence[ScoreResult]
) -> Iterator[FactorLevel]:
    """Every metric and score of a benchmark that was asked at several levels, at each of them, for all items."""
    plain = [without_levels(benchmark.name) for benchmark in asked]
    for name in dict.fromkeys(plain):
        several = [benchmark for benchmark, own in zip(asked, plain, strict=True) if own == name]
        if len(several) < 2:
            continue
        for benchmark in several:
            level = benchmark.name[len(name) + 1 :] or DEFAULTS
            for metric in metrics:
                if metric.benchmark == benchmark.name:
                    yield _of_metric(name, level, metric)
            for score in scores:
                if score.benchmark == benchmark.name and score.group == ALL:
                    yield _of_score(name, level, score)


def _of_metric(benchmark: str, level: str, metric: MetricResult) -> FactorLevel:
    everyone = metric.groups[0]
    return FactorLevel(
        benchmark=benchmark,
        level=level,
        id=metric.id.partition("?")[0],
        title=metric.title,
        unit=metric.unit,
        n=everyone.n,
        base=everyone.base,
        variant=everyone.variant,
        delta=everyone.delta,
        low=everyone.low,
        high=everyone.high,
    )


def _of_score(benchmark: str, level: str, score: ScoreResult) -> FactorLevel:
    return FactorLevel(
        benchmark=benchmark,
        level=level,
        id=score.id.partition("?")[0],
        title=score.title,
        unit="score",
        n=score.n,
        base=score.base,
        variant=score.variant,
        delta=score.variant - score.base,
        low=score.low,
        high=score.high,
    )
