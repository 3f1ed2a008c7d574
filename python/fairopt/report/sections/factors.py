"""Free choices: how much prompt wording, option order, decoding or seed move the numbers beside the compression."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fairopt.audit.result import AuditResult, FactorLevel
from fairopt.report.text import visible
from fairopt.report.units import UNITS, Unit


@dataclass(frozen=True)
class LevelLine:
    """One number at one level."""

    level: str
    n: str
    base: str
    variants: tuple[tuple[str, str], ...]  # change, and its interval


@dataclass(frozen=True)
class FactorTable:
    """One number of a benchmark at all its levels."""

    benchmark: str
    title: str
    id: str
    lines: tuple[LevelLine, ...]
    sentence: str


def factors(result: AuditResult) -> tuple[FactorTable, ...]:
    """Every number of the benchmarks that were asked at several levels."""
    first = result.variants[0].factors if result.variants else ()
    numbers = dict.fromkeys((found.benchmark, found.id) for found in first)
    return tuple(_table(result, benchmark, name) for benchmark, name in numbers)


def _table(result: AuditResult, benchmark: str, name: str) -> FactorTable:
    sides = [[f for f in v.factors if (f.benchmark, f.id) == (benchmark, name)] for v in result.variants]
    unit = UNITS[sides[0][0].unit]
    return FactorTable(
        benchmark=visible(result.benchmarks.get(benchmark, {}).get("title", benchmark)),
        title=visible(sides[0][0].title),
        id=visible(name),
        lines=tuple(_line([own[index] for own in sides], unit) for index in range(len(sides[0]))),
        sentence=_sentence([visible(v.name) for v in result.variants], sides, unit),
    )


def _line(of: Sequence[FactorLevel], unit: Unit) -> LevelLine:
    return LevelLine(
        level=visible(of[0].level),
        n=f"{of[0].n:,}",
        base=unit.level(of[0].base),
        variants=tuple((unit.change(found.delta), unit.interval(found.low, found.high)) for found in of),
    )


def _sentence(names: Sequence[str], sides: Sequence[Sequence[FactorLevel]], unit: Unit) -> str:
    base = _range([found.base for found in sides[0]])
    parts = [f"The choice moves the base model’s value by {unit.size(base)}" if math.isfinite(base) else ""]
    for name, own in zip(names, sides, strict=True):
        deltas = [found.delta for found in own]
        if math.isfinite(_range(deltas)):
            turned = min(deltas) < 0 < max(deltas)
            said = "and turns its sign" if turned else "without turning its sign"
            parts.append(f"the change by {name} by {unit.size(_range(deltas))}, {said}")
    found = [part for part in parts if part]
    return f"{'; '.join(found)}." if found else ""


def _range(values: Sequence[float]) -> float:
    return max(values) - min(values) if all(map(math.isfinite, values)) else math.nan
