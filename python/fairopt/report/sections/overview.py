"""At a glance: a line for every gated metric, where there are so many that a reader would look for one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from fairopt.audit.result import AuditResult, MetricResult, State, VariantResult
from fairopt.report import wording
from fairopt.report.reading import ALL, Reading, readings
from fairopt.report.text import slug, visible
from fairopt.report.units import UNITS

FROM = 4  # metrics
_STATES: tuple[State, ...] = ("fail", "undecided", "undefined", "pass")  # the gravest first


@dataclass(frozen=True)
class OverviewCell:
    """One variant under one metric."""

    key: int
    change: str
    interval: str
    state: str  # of all items together; where they have no limit of their own, the gravest of the groups
    word: str
    groups: str  # "2 of 9 groups over limit"


@dataclass(frozen=True)
class OverviewLine:
    """One gated metric."""

    anchor: str
    benchmark: str
    title: str
    metric: str
    n: str
    base: str
    cells: tuple[OverviewCell, ...]


def overview(result: AuditResult) -> tuple[OverviewLine, ...]:
    """Every metric with a limit, in the order in which it was asked; none where there are few."""
    limited = {gate.metric for variant in result.variants for gate in variant.gates}
    metrics = [metric for metric in (result.variants[0].metrics if result.variants else ()) if metric.id in limited]
    return tuple(_line(result, metric) for metric in metrics) if len(metrics) >= FROM else ()


def _line(result: AuditResult, metric: MetricResult) -> OverviewLine:
    everyone = metric.groups[0]
    return OverviewLine(
        anchor=f"groups-{slug(metric.id)}",
        benchmark=visible(result.benchmarks.get(metric.benchmark, {}).get("title", metric.benchmark)),
        title=visible(metric.title),
        metric=visible(metric.id),
        n=f"{everyone.n:,}",
        base=UNITS[metric.unit].level(everyone.base),
        cells=tuple(_cell(key, variant, metric.id) for key, variant in enumerate(result.variants)),
    )


def _cell(key: int, variant: VariantResult, metric_id: str) -> OverviewCell:
    metric = next(metric for metric in variant.metrics if metric.id == metric_id)
    everyone, unit = metric.groups[0], UNITS[metric.unit]
    own = [reading for reading in readings(variant) if reading.gate.metric == metric_id]
    states = [reading.gate.state for reading in own if reading.gate.group == ALL] or [r.gate.state for r in own]
    state = min(states, key=_STATES.index, default="undefined")
    return OverviewCell(
        key=key,
        change=unit.change(everyone.delta),
        interval=unit.interval(everyone.low, everyone.high),
        state=state,
        word=wording.STATES[state],
        groups=_groups(own),
    )


def _groups(own: Sequence[Reading]) -> str:
    tally = Counter(reading.gate.state for reading in own if reading.gate.group != ALL)
    total = sum(tally.values())
    if not total:
        return ""
    said = [f"{tally[state]} {wording.STATES[state]}" for state in _STATES if tally[state]]
    return f"of {total} groups: {', '.join(said)}"
