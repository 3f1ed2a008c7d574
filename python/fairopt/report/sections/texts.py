"""Texts: whether what the models wrote is still text, beside every score that rests on it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from fairopt.audit.result import AuditResult, TextHealth
from fairopt.report.reading import ALL
from fairopt.report.text import visible
from fairopt.report.units import NBSP, percent, signed

# Numbers of fairopt.metrics.text_health, in the order of the table: title, and whether it is a share.
COLUMNS = (
    ("length", "Words a text", False),
    ("distinct_2", "Distinct pairs", True),
    ("repeated_share", "Repeated words", True),
    ("loop_share", "Longest loop", True),
    ("unknown_share", "Not in dictionary", True),
    ("empty_share", "Empty", True),
    ("refused_share", "Refused", True),
    ("base_perplexity", "Perplexity under the base model", False),
)
TITLES = tuple(title for _, title, _ in COLUMNS)


@dataclass(frozen=True)
class TextsLine:
    """One variant's texts for one benchmark or group."""

    key: int
    variant: str
    benchmark: str
    group: str  # empty for all
    n: str
    values: tuple[str, ...]  # "41 → 12", in the order of TITLES
    collapsed: str  # why they cannot be read; empty where they can


def texts(result: AuditResult) -> tuple[TextsLine, ...]:
    """Benchmark by benchmark, all items first; a group only where it collapsed although all together did not."""
    titles = {name: visible(about.get("title", name)) for name, about in result.benchmarks.items()}
    found = []
    for name in result.benchmarks:
        for key, variant in enumerate(result.variants):
            own = [health for health in variant.texts if health.benchmark == name]
            fallen = bool(own and own[0].collapsed)
            found += [
                _line(key, visible(variant.name), titles[name], health)
                for health in own
                if health.group == ALL or (health.collapsed and not fallen)
            ]
    return tuple(found)


def _line(key: int, variant: str, benchmark: str, health: TextHealth) -> TextsLine:
    return TextsLine(
        key=key,
        variant=variant,
        benchmark=benchmark,
        group="" if health.group == ALL else visible(health.group),
        n=f"{health.n:,}",
        values=tuple(_both(health, name, share) for name, _, share in COLUMNS),
        collapsed=visible(health.collapsed),
    )


def _both(health: TextHealth, name: str, share: bool) -> str:
    before, after = (_said(side[name], share) for side in (health.base, health.variant))
    return f"{before}{NBSP}→{NBSP}{after}"


def _said(value: float, share: bool) -> str:
    if not math.isfinite(value):
        return "–"
    return percent(value) if share else f"{value:,.1f}"


@dataclass(frozen=True)
class ScorerLine:
    """What a scorer says of the people of one axis."""

    scorer: str
    number: str
    axis: str
    gap: str
    lowest: str
    highest: str
    plain: str  # without a term
    flagged: str  # of the neutral sentences about the more harmful of the two


def scorers(result: AuditResult) -> tuple[ScorerLine, ...]:
    """Scorer by scorer, number by number, the widest gap first."""
    numbers = list(dict.fromkeys((gap.scorer, gap.number) for gap in result.scorers))
    return tuple(
        ScorerLine(
            scorer=visible(gap.scorer),
            number=visible(gap.number),
            axis=visible(gap.axis),
            gap=f"{gap.high - gap.low:.2f}",
            lowest=f"{visible(gap.lowest)} {signed(gap.low, 2)}",
            highest=f"{visible(gap.highest)} {signed(gap.high, 2)}",
            plain="–" if gap.plain is None else signed(gap.plain, 2),
            flagged="–" if gap.flagged is None else percent(gap.flagged, 0),
        )
        for gap in sorted(result.scorers, key=lambda g: (numbers.index((g.scorer, g.number)), g.low - g.high))
    )
