"""Who pays: the forest table of every gated metric, and the other metrics in short."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from markupsafe import Markup

from fairopt.audit.result import AuditResult, GroupEffect, MetricResult, VariantResult
from fairopt.report import wording
from fairopt.report.charts.forest import Backdrops, Scale, Strip, axis_labels, scale, strip
from fairopt.report.charts.marks import KEYS
from fairopt.report.reading import ALL, Reading, drawn
from fairopt.report.sections.gaps import GapLine, gap_lines
from fairopt.report.sections.notes import Note, notes
from fairopt.report.text import slug, visible
from fairopt.report.units import UNDEFINED, UNITS, Unit, count, p_value, percent

SHOWN = 30  # groups that stand open; the others are folded away
SMALL = 30  # items; of smaller groups without a limit nothing can be said (docs/statistics.md)
_SIDES = {"higher": ("less harm", "more harm"), "lower": ("more harm", "less harm"), "either": ("lower", "higher")}


@dataclass(frozen=True)
class Row:
    """One variant in one group."""

    key: int
    variant: str
    levels: str
    flips: str
    change: str
    interval: str
    tau: str
    tau_interval: str
    strip: Markup
    judged: bool
    state: str
    word: str
    remarks: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class Group:
    """One group with a row for every variant of its panel."""

    anchor: str
    name: str
    facts: tuple[str, ...]  # "n = 120", "30 clusters", "base 45.0 %"
    reason: str  # why no variant can be judged in this group
    everyone: bool
    small: bool
    order_n: int
    order_bound: float
    order_change: float
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Panel:
    """One table: all variants, or a single one where there are too many to tell apart by shape."""

    alone: bool  # a single variant
    variant: str
    key: int
    groups: tuple[Group, ...]
    folded: tuple[Group, ...]
    nearest: tuple[Group, ...]  # all of them, all items first, then what is nearest to its limit
    unshown: int  # where there are many: groups too small for a word, and without a limit; report.json has them


@dataclass(frozen=True)
class DirectionLine:
    """The flips of one variant: how many each way, and whether that is lopsided."""

    key: int
    variant: str
    worse: str
    better: str
    churn: str
    mcnemar: str
    pays: str
    somebody: bool  # whether any group pays


@dataclass(frozen=True)
class Forest:
    """One gated metric."""

    anchor: str
    title: str
    metric: str
    benchmark: str
    unit: str
    binary: bool
    by_tau: bool  # groups are judged by their change beyond the mean of the axis's other groups
    axis: Markup
    backdrops: Markup
    panels: tuple[Panel, ...]
    directions: tuple[DirectionLine, ...]
    gaps: tuple[GapLine, ...]
    limits: str
    noise: str
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class SensitivityLine:
    """A metric that is described, never gated, for one variant."""

    metric: str
    title: str
    key: int
    variant: str
    levels: str
    flips: str
    change: str
    interval: str
    most: str


def forests(result: AuditResult) -> tuple[Forest, ...]:
    """One forest per gated metric, in the order of the first variant."""
    first = result.variants[0].metrics if result.variants else ()
    return tuple(_forest(result, metric.id) for metric in first if _limited(result, metric))


def sensitivity(result: AuditResult) -> tuple[SensitivityLine, ...]:
    """All metrics that are not gated, a line per variant."""
    first = result.variants[0].metrics if result.variants else ()
    return tuple(
        _sensitivity_line(key, variant, metric)
        for reference in first
        if not _limited(result, reference)
        for key, variant, metric in _across(result, reference.id)
    )


def _limited(result: AuditResult, metric: MetricResult) -> bool:
    """Whether the metric is part of the verdict; a policy can also limit one that is only described by default."""
    return metric.gated or any(gate.metric == metric.id for v in result.variants for gate in v.gates)


def _across(result: AuditResult, metric_id: str) -> Iterator[tuple[int, VariantResult, MetricResult]]:
    for key, variant in enumerate(result.variants):
        for metric in variant.metrics:
            if metric.id == metric_id:
                yield key, variant, metric


_Column = tuple[int, VariantResult, MetricResult]


@dataclass(frozen=True)
class _Drawing:
    """What the rows of one table share."""

    columns: list[_Column]
    gates: dict[int, dict[tuple[str, str], Reading]]
    scale: Scale
    backdrops: Backdrops


def _forest(result: AuditResult, metric_id: str) -> Forest:
    columns = list(_across(result, metric_id))
    metric = columns[0][2]
    unit = UNITS[metric.unit]
    gates = {key: drawn(variant) for key, variant, _ in columns}
    mine = [r for found in gates.values() for r in found.values() if r.metric.id == metric_id]
    axis = scale(_ends(columns, gates), [r.gate.margin for r in mine])
    backdrops = Backdrops(f"strip-{slug(metric_id)}", axis)
    sets = [columns] if len(columns) <= KEYS else [[column] for column in columns]
    panels = tuple(_panel(_Drawing(some, gates, axis, backdrops)) for some in sets)
    return Forest(
        anchor=f"groups-{slug(metric_id)}",
        title=visible(metric.title),
        metric=visible(metric.id),
        benchmark=visible(result.benchmarks.get(metric.benchmark, {}).get("title", metric.benchmark)),
        unit=unit.of_change,
        binary=metric.kind == "binary",
        by_tau=any(r.gate.quantity == "tau" for r in mine),
        axis=axis_labels(axis, unit, *_SIDES[metric.harm]),
        backdrops=backdrops.defs(),
        panels=panels,
        directions=tuple(_direction(*column) for column in columns),
        gaps=gap_lines(columns),
        limits=_limits(mine),
        noise=wording.noise(metric),
        notes=tuple(notes(result, metric_id)),
    )


def _ends(columns: list[_Column], gates: dict[int, dict[tuple[str, str], Reading]]) -> list[float]:
    """Interval ends that the axis should reach: those of judged groups, or of all where nothing is judged."""
    every: list[float] = []
    judged: list[float] = []
    for key, _, metric in columns:
        for effect in metric.groups:
            reading = gates[key].get((metric.id, effect.group))
            ends = reading.interval if reading else (effect.low, effect.high)
            every += ends
            if reading and reading.judged:
                judged += ends
    return judged or every


def _panel(drawing: _Drawing) -> Panel:
    key, variant, first = drawing.columns[0]
    axes = list(dict.fromkeys(e.axis for e in first.groups if e.group != ALL))
    limited = {group for key, _, metric in drawing.columns for of, group in drawing.gates[key] if of == metric.id}
    many = len(first.groups) > SHOWN
    kept = [e for e in first.groups if not many or e.group == ALL or e.n >= SMALL or e.group in limited]
    order = sorted(kept, key=lambda e: (e.group != ALL, axes.index(e.axis) if e.axis in axes else 0, -e.n))
    groups = [_group(e, drawing, len(axes) > 1) for e in order]
    anchors = [f"g-{slug(first.id)}-{slug(g.name)}" for g in groups]
    alone = len(drawing.columns) == 1
    groups = [
        replace(g, anchor=a + (f"-{n}" if anchors.count(a) > 1 else "") + (f"-{key}" if alone and key else ""))
        for n, (g, a) in enumerate(zip(groups, anchors, strict=True))
    ]
    urgent = {"fail": 0, "undecided": 1, "pass": 2, "undefined": 3}
    telling = sorted(groups, key=lambda g: (not g.everyone, min(urgent[r.state] for r in g.rows), -g.order_bound))
    shown = {g.anchor for g in telling[: SHOWN + 1]}
    return Panel(
        alone=alone,
        variant=visible(variant.name),
        key=key,
        groups=tuple(g for g in groups if g.anchor in shown),
        folded=tuple(g for g in groups if g.anchor not in shown),
        nearest=tuple(telling),
        unshown=len(first.groups) - len(kept),
    )


def _group(effect: GroupEffect, drawing: _Drawing, name_axis: bool) -> Group:
    unit = UNITS[drawing.columns[0][2].unit]
    rows, bounds, changes = [], [0.0], [0.0]
    for key, variant, metric in drawing.columns:
        mine = next(e for e in metric.groups if e.group == effect.group)
        reading = drawing.gates[key].get((metric.id, effect.group))
        rows.append(_row((key, variant, metric), mine, reading, drawing))
        bounds.append(reading.closeness if reading and math.isfinite(reading.closeness) else 0.0)
        changes.append(abs(mine.delta) if math.isfinite(mine.delta) else 0.0)
    everyone = effect.group == ALL
    shared = rows[0].reason if len({row.reason for row in rows}) == 1 else ""
    # A few duplicates among many items are not worth a word.
    clusters = [count(effect.n_clusters, "cluster")] if 0 < effect.n_clusters <= 0.9 * effect.n else []
    axis = f"{visible(effect.axis)}: " if name_axis and effect.axis and not everyone else ""
    return Group(
        anchor="",
        name="all items" if everyone else axis + visible(effect.group),
        facts=(f"n\u00a0=\u00a0{effect.n:,}", *clusters, f"base {unit.level(effect.base)}"),
        reason=shared,
        everyone=everyone,
        small=not any(row.judged for row in rows),
        order_n=effect.n,
        order_bound=max(bounds),
        order_change=max(changes),
        rows=tuple(replace(row, reason="") if shared else row for row in rows),
    )


def _row(column: _Column, effect: GroupEffect, reading: Reading | None, drawing: _Drawing) -> Row:
    key, variant, metric = column
    unit = UNITS[metric.unit]
    state = reading.gate.state if reading else "undefined"
    remarks = []
    if reading and reading.moved_away:
        remarks.append("◀ moved away" if reading.limits[0] > 0 else "moved away ▶")
    if effect.pays:
        remarks.append(f"pays (p = {p_value(effect.tau_p)})".replace("= <", "<"))
    value, (low, high) = (
        (reading.gate.delta, reading.interval) if reading else (effect.delta, (effect.low, effect.high))
    )
    noise = abs(metric.noise.ceiling if metric.kind == "binary" else metric.noise.mean_shift)
    limits = reading.limits if reading else ()
    everyone = effect.group == ALL
    return Row(
        key=key,
        variant=visible(variant.name),
        levels=_levels(unit, effect),
        flips=_flips(effect),
        change=unit.bare(effect.delta),
        interval=unit.interval(effect.low, effect.high),
        tau="" if everyone else unit.bare(effect.tau),
        tau_interval="" if everyone else unit.interval(effect.tau_low, effect.tau_high),
        strip=strip(
            key,
            Strip(value, low, high, limits, noise if math.isfinite(noise) else 0.0),
            drawing.scale,
            drawing.backdrops,
        ),
        judged=reading is not None and reading.judged,
        state=state,
        word=wording.STATES[state] if reading else ("too few to judge" if effect.reason else "not gated"),
        remarks=tuple(remarks),
        reason=visible((reading.gate.reason if reading else "") or effect.reason),
    )


def _levels(unit: Unit, effect: GroupEffect) -> str:
    if not (math.isfinite(effect.base) and math.isfinite(effect.variant)):
        return UNDEFINED
    base, variant = unit.level(effect.base), unit.level(effect.variant)
    suffix = f"\u00a0{unit.of_level}"
    return f"{base.removesuffix(suffix)}\u00a0→\u00a0{variant}" if unit.of_level else f"{base}\u00a0→\u00a0{variant}"


def _flips(effect: GroupEffect) -> str:
    return "–" if effect.worse is None or effect.better is None else f"{effect.worse}\u00a0·\u00a0{effect.better}"


def _limits(mine: list[Reading]) -> str:
    everyone = list(dict.fromkeys(r.limit_text for r in mine if r.gate.group == ALL))
    groups = list(dict.fromkeys(r.limit_text for r in mine if r.gate.group != ALL))
    parts = []
    if everyone:
        parts.append(f"{' or '.join(everyone)} for all items")
    if groups:
        parts.append(f"{' or '.join(groups)} for a group")
    return ", ".join(parts)


def _direction(key: int, variant: VariantResult, metric: MetricResult) -> DirectionLine:
    total = metric.groups[0]
    known = total.worse is not None and total.better is not None
    worse, better = total.worse or 0, total.better or 0
    paying = [visible(e.group) for e in metric.groups if e.pays]
    return DirectionLine(
        key=key,
        variant=visible(variant.name),
        worse=f"{worse:,}" if known else "–",
        better=f"{better:,}" if known else "–",
        churn=f"{percent((worse + better) / total.n)} of {total.n:,}"
        if worse is not None and better is not None and total.n
        else "–",
        mcnemar=p_value(metric.mcnemar_p),
        pays=", ".join(paying) or "none marked",
        somebody=bool(paying),
    )


def _sensitivity_line(key: int, variant: VariantResult, metric: MetricResult) -> SensitivityLine:
    unit, total = UNITS[metric.unit], metric.groups[0]
    groups = [e for e in metric.groups[1:] if math.isfinite(e.delta) and not e.reason]
    most = max(groups, key=lambda e: abs(e.delta), default=None)
    return SensitivityLine(
        metric=visible(metric.id),
        title=visible(metric.title),
        key=key,
        variant=visible(variant.name),
        levels=_levels(unit, total),
        flips=_flips(total),
        change=unit.change(total.delta),
        interval=unit.interval(total.low, total.high),
        most=_in_short(unit, most) if most else "–",
    )


def _in_short(unit: Unit, effect: GroupEffect) -> str:
    interval = unit.interval(effect.low, effect.high)
    return f"{visible(effect.group)} {unit.change(effect.delta)} {interval}, n\u00a0=\u00a0{effect.n:,}"
