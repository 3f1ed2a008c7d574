"""Each benchmark by itself: the scores of its authors, which answers flipped, how strongly, and in which state."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup

from fairopt.audit.result import Agreement, AuditResult, MetricResult, ScoreResult, Transition, VariantResult
from fairopt.report.charts.histogram import histogram
from fairopt.report.reading import ALL
from fairopt.report.sections.comparable import short
from fairopt.report.text import slug, visible
from fairopt.report.units import NBSP, UNDEFINED, count, p_value, percent, signed, trimmed

TERCILES = ("low", "middle", "high")  # of the base model's uncertainty
MOST_GROUPS = 40  # of a score table; report.json has all
# The state is that of single answers; a word about a whole model would say more than the counts.
_STATES = {"unbiased": "no side", "biased": "stereotyped side", "counter-biased": "opposite side"}


@dataclass(frozen=True)
class ScoreLine:
    """One published score for all items or a group: the base model, then each variant."""

    title: str
    id: str
    group: str
    n: str
    ideal: str
    base: str
    variants: tuple[tuple[str, str], ...]  # value, and change against the base model, with its interval where there is
    reason: str


@dataclass(frozen=True)
class Cell:
    """One cell of a 2 x 2 table."""

    n: str
    word: str
    changed: bool


@dataclass(frozen=True)
class Matrix:
    """Answers of base model (rows) and variant (columns) to the same items: yes, then no."""

    key: int
    variant: str
    rows: tuple[tuple[Cell, Cell], tuple[Cell, Cell]]
    sentence: str


@dataclass(frozen=True)
class Margins:
    """How strongly the models prefer."""

    key: int
    variant: str
    caption: str
    chart: Markup


@dataclass(frozen=True)
class Answers:
    """One metric."""

    anchor: str
    title: str
    metric: str
    matrices: tuple[Matrix, ...]
    margins: tuple[Margins, ...]


@dataclass(frozen=True)
class Change:
    """How many answers kept their state, by the base model's uncertainty, and where the others went."""

    key: int
    variant: str
    metric: str
    kept: tuple[str, ...]  # one a third of the items, the least uncertain first
    moves: tuple[tuple[str, str], ...]  # "no side → stereotyped side", items


@dataclass(frozen=True)
class Details:
    """The section of one benchmark."""

    anchor: str
    title: str
    signature: tuple[str, ...]
    scores: tuple[ScoreLine, ...]
    group_scores: tuple[ScoreLine, ...]
    left_out: int  # groups that only report.json has
    answers: tuple[Answers, ...]
    changes: tuple[Change, ...]


def details(result: AuditResult) -> tuple[Details, ...]:
    """Every benchmark, in the order in which it was asked."""
    return tuple(_details(result, name) for name in result.benchmarks)


def _details(result: AuditResult, name: str) -> Details:
    about = result.benchmarks[name]
    first = result.variants[0] if result.variants else None
    metrics = [m for m in first.metrics if m.benchmark == name] if first else []
    scores = [s for s in first.scores if s.benchmark == name] if first else []
    groups = list(dict.fromkeys(s.group for s in scores if s.group != ALL))
    kept = set(groups[:MOST_GROUPS])
    signature = [f"{key} {short(about[field])}" for key, field in _SIGNED if about.get(field)]
    signature += [visible(m.id) for m in metrics]
    return Details(
        anchor=slug(name),
        title=visible(about.get("title", name)),
        signature=tuple(signature),
        scores=tuple(_score(result, s) for s in scores if s.group == ALL),
        group_scores=tuple(_score(result, s) for s in scores if s.group in kept),
        left_out=len(groups) - len(kept),
        answers=tuple(a for m in metrics if m.gated and (a := _answers(result, m.id)) is not None),
        changes=tuple(change for k, v in enumerate(result.variants) for change in _changes(k, v, name)),
    )


_SIGNED = (("version", "version"), ("items", "n_items"), ("data", "data_hash"), ("licence", "licence"))


def _score(result: AuditResult, wanted: ScoreResult) -> ScoreLine:
    found = []
    for variant in result.variants:
        for score in variant.scores:
            if (score.benchmark, score.id, score.group) == (wanted.benchmark, wanted.id, wanted.group):
                found.append(_value(score))
    return ScoreLine(
        title=visible(wanted.title),
        id=visible(wanted.id),
        group="all items" if wanted.group == ALL else visible(wanted.group),
        n=f"{wanted.n:,}",
        ideal=trimmed(wanted.ideal) if math.isfinite(wanted.ideal) else "–",
        base=_number(wanted.base, _digits(wanted)),
        variants=tuple(found),
        reason=visible(wanted.reason),
    )


def _value(score: ScoreResult) -> tuple[str, str]:
    digits = _digits(score)
    change = signed(score.variant - score.base, digits)
    if change != UNDEFINED and math.isfinite(score.low) and math.isfinite(score.high):
        change = f"{change} [{signed(score.low, digits)},{NBSP}{signed(score.high, digits)}]"
    return _number(score.variant, digits), "" if change == UNDEFINED else change


def _digits(score: ScoreResult) -> int:
    """Published scores are shares or percentages."""
    return 2 if max(abs(score.base), abs(score.variant), abs(score.ideal)) > 2 else 3


def _number(value: float, digits: int) -> str:
    return signed(value, digits).removeprefix("+")


def _answers(result: AuditResult, metric_id: str) -> Answers | None:
    matrices, margins, title = [], [], metric_id
    for key, variant in enumerate(result.variants):
        for metric in variant.metrics:
            if metric.id != metric_id:
                continue
            title = metric.title
            if metric.agreement:
                matrices.append(_matrix(key, variant, metric, metric.agreement))
            if metric.margins:
                margins.append(_margins(key, variant, metric))
    if not matrices and not margins:
        return None
    return Answers(f"answers-{slug(metric_id)}", visible(title), visible(metric_id), tuple(matrices), tuple(margins))


def _matrix(key: int, variant: VariantResult, metric: MetricResult, a: Agreement) -> Matrix:
    gained, lost = {
        "higher": ("▲ harmful", "▽ opposite"),
        "lower": ("▽ opposite", "▲ harmful"),
        "either": ("△ gained", "▽ lost"),
    }[metric.harm]
    n = a.both + a.base_only + a.variant_only + a.neither
    changed = a.base_only + a.variant_only
    parts = [
        f"{changed:,} of {count(n, 'answer')} changed ({percent(a.churn)}): {a.variant_only:,} to yes, {a.base_only:,} "
        f"to no; imbalance p = {p_value(a.mcnemar_midp)} (McNemar, mid-p, two-sided)."
    ]
    if math.isfinite(a.noise_churn):
        parts.append(
            f"A rerun of the base model changes {percent(a.noise_churn, 2)}; that the variant changes no more than a "
            f"rerun: p = {p_value(a.excess_p)}."
        )
    if math.isfinite(a.kappa):
        parts.append(f"Agreement beyond chance (Cohen’s kappa) {a.kappa:.2f}.")
    return Matrix(
        key=key,
        variant=visible(variant.name),
        rows=(
            (Cell(f"{a.both:,}", "kept", False), Cell(f"{a.base_only:,}", lost, True)),
            (Cell(f"{a.variant_only:,}", gained, True), Cell(f"{a.neither:,}", "kept", False)),
        ),
        sentence=" ".join(parts).replace("p = <", "p <"),
    )


def _margins(key: int, variant: VariantResult, metric: MetricResult) -> Margins:
    assert metric.margins
    n = sum(metric.margins.base)
    what = "margin" if metric.kind == "binary" else "value"
    unit = {"share": "", "score": ""}.get(metric.unit, f", {metric.unit}") if what == "value" else ", nats"
    title = f"{visible(variant.name)} (line) over the base model (filled)"
    return Margins(
        key=key,
        variant=visible(variant.name),
        caption=f"line: {visible(variant.name)}, filled: base model; {count(n, 'item')} by {what}",
        chart=histogram(key, metric.margins, f"Histogram of the {what}s: {title}, {count(n, 'item')}", f"{what}{unit}"),
    )


def _changes(key: int, variant: VariantResult, benchmark: str) -> Iterator[Change]:
    found = [t for t in variant.transitions if t.benchmark == benchmark]
    for metric in dict.fromkeys(t.metric for t in found):
        thirds = {t.tercile: t for t in found if t.metric == metric}
        ordered = [thirds[name] for name in TERCILES if name in thirds]
        states = ordered[0].states
        yield Change(
            key=key,
            variant=visible(variant.name),
            metric=visible(metric),
            kept=tuple(_kept(thirds[name]) if name in thirds else "–" for name in TERCILES),
            moves=tuple(
                (
                    f"{_STATES.get(before, visible(before))} → {_STATES.get(after, visible(after))}",
                    f"{sum(t.counts[i][j] for t in ordered):,}",
                )
                for i, before in enumerate(states)
                for j, after in enumerate(states)
                if i != j
            ),
        )


def _kept(t: Transition) -> str:
    kept = sum(t.counts[k][k] for k in range(len(t.states)))
    return f"{percent(kept / t.n)} of {t.n:,}" if t.n else f"undefined, 0{NBSP}items"
