"""The report as a page: every section as strings and pictures, in the order in which it is read.

HTML, Markdown, LaTeX and the terminal print this object and nothing else, so they cannot disagree. All texts are plain:
whoever prints them escapes them for the medium.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fairopt.audit.result import AuditResult
from fairopt.errors import ExitCode
from fairopt.report import wording
from fairopt.report.sections import (
    calibration,
    comparable,
    details,
    factors,
    flips,
    groups,
    left_out,
    limits,
    overview,
    replay,
    shift,
    texts,
    trend,
)
from fairopt.report.sections.absent import ABSENT, Absent
from fairopt.report.sections.sure import Sure, sure
from fairopt.report.sections.texts import ScorerLine
from fairopt.report.sections.tradeoff import Tradeoff, tradeoff
from fairopt.report.sections.verdict import Card, card
from fairopt.report.sections.words import WORDS, Term
from fairopt.report.text import visible
from fairopt.report.units import count

NOT_COMPARABLE = "NOT COMPARABLE"
_EXIT = {
    "SHIP": (ExitCode.SHIP, "every limit was met"),
    "HOLD": (ExitCode.HOLD, "a limit was exceeded"),
    "INCONCLUSIVE": (ExitCode.INCONCLUSIVE, "no limit was exceeded, but not all could be decided"),
    NOT_COMPARABLE: (ExitCode.NOT_COMPARABLE, "the runs are not comparable"),
}


@dataclass(frozen=True)
class Sections:
    """What stands between the verdict and the limitations; nothing of it when the runs are not comparable."""

    forests: tuple[groups.Forest, ...]
    sensitivity: tuple[groups.SensitivityLine, ...]
    sure: Sure
    tradeoff: Tradeoff
    details: tuple[details.Details, ...]
    calibration: tuple[calibration.CalibrationOf, ...]
    shift: tuple[shift.ShiftLine, ...]
    flips: flips.Flips
    trend: tuple[trend.TrendLine, ...]
    overview: tuple[overview.OverviewLine, ...]
    texts: tuple[texts.TextsLine, ...]
    scorers: tuple[ScorerLine, ...]
    factors: tuple[factors.FactorTable, ...]
    absent: Mapping[str, Absent] = field(default_factory=lambda: ABSENT)
    words: tuple[Term, ...] = WORDS


@dataclass(frozen=True)
class Page:
    """The whole report."""

    title: str
    base: str
    meta: str
    headline: str
    lead: str
    unasked: str  # which benchmarks had no part in it; empty where all had
    decision: str
    exit_code: int
    exit_meaning: str
    cards: tuple[Card, ...]
    checks: tuple[comparable.CheckLine, ...]
    checks_sentence: str
    sections: Sections | None
    benchmarks: tuple[tuple[str, str], ...]
    limits: tuple[str, ...]
    left_out: tuple[left_out.LeftOutLine, ...]
    command: str
    provenance: tuple[tuple[str, str], ...]


def decision(result: AuditResult) -> str:
    """The decision over all variants; fails closed where anything but the weights differs."""
    return NOT_COMPARABLE if wording.not_comparable(result) else result.decision


def page(result: AuditResult) -> Page:
    """Lay out what an audit found. Where the runs are not comparable, nothing but the comparison is shown."""
    what = decision(result)
    shown = what != NOT_COMPARABLE
    code, meaning = _EXIT[what]
    return Page(
        title=_title(result, what),
        base=visible(result.base),
        meta=_meta(result),
        headline=wording.headline(result),
        lead=" ".join(filter(None, (wording.lead(result), wording.unasked(result)))),
        unasked=wording.unasked(result),
        decision=what,
        exit_code=int(code),
        exit_meaning=meaning,
        cards=tuple(card(k, v) for k, v in enumerate(result.variants)) if shown else (),
        checks=comparable.checks(result),
        checks_sentence=comparable.sentence(result),
        sections=_sections(result) if shown else None,
        benchmarks=replay.sources(result),
        limits=tuple(limits.limitations(result)),
        left_out=left_out.left_out(result),
        command=replay.command(result),
        provenance=replay.provenance(result),
    )


def _sections(result: AuditResult) -> Sections:
    return Sections(
        forests=groups.forests(result),
        sensitivity=groups.sensitivity(result),
        sure=sure(result),
        tradeoff=tradeoff(result),
        details=details.details(result),
        calibration=calibration.calibration(result),
        shift=shift.shift(result),
        flips=flips.flips(result),
        trend=trend.trend(result),
        overview=overview.overview(result),
        texts=texts.texts(result),
        scorers=texts.scorers(result),
        factors=factors.factors(result),
    )


def _title(result: AuditResult, what: str) -> str:
    counts = [(d, sum(v.decision == d for v in result.variants)) for d in ("HOLD", "INCONCLUSIVE", "SHIP")]
    said = what if what == NOT_COMPARABLE else " · ".join(f"{d} {n}" for d, n in counts if n)
    return f"{said} – fairopt audit of {visible(result.base)}"


def _meta(result: AuditResult) -> str:
    data = ", ".join(
        f"{visible(b.get('title', name))} {replay.thousands(b.get('n_items', '?'))} items"
        for name, b in result.benchmarks.items()
    )
    if len(result.benchmarks) > wording.MOST_NAMED:
        n_items = sum(int(b.get("n_items", 0)) for b in result.benchmarks.values())
        data = f"{count(len(result.benchmarks), 'benchmark')}, {count(n_items, 'item')}"
    policy = f"policy {visible(result.policy_name)} {comparable.short(result.policy_hash)}"
    return f"{count(len(result.variants), 'variant')} · {data} · {policy}"
