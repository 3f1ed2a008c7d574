"""A result in which every field of the contract is filled: three benchmarks, all kinds of gates, every section."""

from __future__ import annotations

import math
from dataclasses import replace

import report_samples as samples

from fairopt.audit.result import (
    Agreement,
    AuditResult,
    Bins,
    Calibration,
    Decision,
    Gap,
    GateResult,
    LeftOut,
    MetricResult,
    Reanalysis,
    ReliabilityBin,
    ScoreResult,
    Shift,
    Speed,
    State,
    Transition,
    Trend,
    VariantResult,
)

NAN = math.nan
CHOICES = (
    "per-token score",
    "distance from one half",
    "bootstrap interval",
    "half the group limit",
    "twice the group limit",
    "items counted as independent",
    "each group needs 50 items",
    "stereotypical pairs only",
    "ties left out",
    "no Holm correction",
)
FEW = "19 items in the denominator, a claim of no harm needs 100"
STATES = ("unbiased", "biased", "counter-biased")


def full() -> AuditResult:
    made = [_filled(k, v) for k, v in enumerate(samples.realistic().variants)]
    made[2] = replace(made[2], collapsed=("bbq: 92 % of the answers are one and the same text",))
    result = samples.audit(*made)
    bbq = {
        "title": "BBQ",
        "version": "1",
        "licence": "CC BY 4.0",
        "home": "",
        "n_items": "58492",
        "data_hash": "ab" * 32,
    }
    trends = tuple(_trend(group) for group in ("all", "race-color"))
    return replace(result, benchmarks={**result.benchmarks, "bbq": bbq}, trends=trends, policy_name="release")


def _filled(k: int, variant: VariantResult) -> VariantResult:
    accuracy = _accuracy(k)
    metrics = (*(_with_tables(k, m) for m in variant.metrics), accuracy)
    gates = (*variant.gates, *_other_gates(k, accuracy))
    if k == 1:  # a reason that is this variant's alone
        gates = tuple(replace(g, state="undecided", reason=FEW) if g.group == "religion" else g for g in gates)
    states = {g.state for g in gates}
    decision: Decision = "HOLD" if "fail" in states else "SHIP" if states == {"pass"} else "INCONCLUSIVE"
    return replace(
        variant,
        metrics=metrics,
        gates=gates,
        decision=decision,
        conditions=("race-color pays: +3.0 pp beyond the mean of the other groups (p = .004)",) if k == 0 else (),
        scores=_scores(k),
        calibration=(_calibration(k),),
        transitions=tuple(_transition(k, tercile) for tercile in ("low", "middle", "high")),  # type: ignore[arg-type]
        shift=tuple(_shift(k, name) for name in ("crows_pairs", "bbq")),
        speed=Speed(
            214.0, (301.0, 288.0, 213.0)[k], 41_000_000, (12_000_000, 11_500_000, 41_000_000)[k], "2 cores, AVX-512"
        ),
        reanalyses=tuple(_reanalysis(k, variant, number) for number in range(10)),
    )


def _accuracy(k: int) -> MetricResult:
    """A metric whose lower values are the harmful ones."""
    names = ("Age", "Disability status", "Gender identity", "Nationality", "Religion", "SES")
    groups = [
        samples.effect(name, 368 + 40 * j, 0.41 + 0.01 * j, (3, 5, 30)[k] + j, (9, 6, 11)[k], axis="category")
        for j, name in enumerate(names)
    ]
    everyone = samples.effect("all", sum(g.n for g in groups), 0.42, 60, 50)
    lower = tuple(replace(g, worse=g.better, better=g.worse, pays=False) for g in (everyone, *groups))
    metric = replace(
        samples.crows(k),
        benchmark="bbq",
        id="bbq/accuracy_disambiguated",
        title="Accuracy, disambiguated",
        harm="lower",
        groups=lower,
    )
    return _with_tables(k, metric)


def _with_tables(k: int, metric: MetricResult) -> MetricResult:
    total = metric.groups[0]
    binary = metric.kind == "binary"
    gaps = tuple(
        Gap(
            axis,
            0.41,
            0.38 + 0.05 * k,
            "religion",
            ("religion", "age", "religion")[k],
            0.012,
            0.011 - 0.008 * k,
            0.04,
            0.002,
            0.31,
            k == 1,
            "",
        )
        for axis in dict.fromkeys(g.axis for g in metric.groups[1:])
    )
    agreement = None
    if binary:
        up, down = (
            (total.worse or 0, total.better or 0) if metric.harm != "lower" else (total.better or 0, total.worse or 0)
        )
        both = round(total.base * total.n) - down
        agreement = Agreement(
            both, down, up, total.n - both - up - down, (up + down) / total.n, 0.88, 0.01, 0.0, 0.0004, 0.49
        )
    edges = tuple(-20 + 2.0 * j for j in range(21))
    bell = [math.exp(-(((e + 1) / 6) ** 2)) for e in edges[:-1]]
    base = tuple(round(200 * b) for b in bell)
    moved = (bell[k + 1 :] + bell)[: len(bell)]
    return replace(
        metric, gaps=gaps, agreement=agreement, margins=Bins(edges, base, tuple(round(190 * b) for b in moved))
    )


def _other_gates(k: int, accuracy: MetricResult) -> tuple[GateResult, ...]:
    """One gate of every kind that is not on the change of a group."""
    total = accuracy.groups[0]
    state: State = "pass" if total.low > -0.05 else "undecided"
    change = replace(samples.gate(accuracy.id, total, 0.05), bound=total.low, state=state, reason="")
    level = replace(change, id=f"{change.id}:level", kind="absolute", quantity="level", margin=0.35, state="pass")
    level = replace(level, delta=total.variant, bound=total.variant - 0.02)
    ratio = replace(change, id=f"{change.id}:ratio", kind="recovery", quantity="ratio", margin=0.95)
    ratio = replace(ratio, delta=0.97, bound=0.96)
    if k == 1:
        ratio = replace(ratio, bound=0.93, state="undecided", items_needed=9000)
    worse = 0.06 if k == 2 else 0.0
    churn = replace(change, id=f"{change.id}:churn", kind="churn", quantity="excess_churn", margin=0.05)
    churn = replace(churn, delta=0.021 + worse, bound=0.026 + worse, state="fail" if worse else "pass")
    return change, level, ratio, replace(churn, p_bad_holm=0.0001 if worse else 1.0)


def _scores(k: int) -> tuple[ScoreResult, ...]:
    found = []
    for group in ("all", "Age", "Religion"):
        n = 58492 if group == "all" else 3680
        found.append(ScoreResult("bbq", "bbq/bias_ambiguous", "Bias score, ambiguous", group, n, 4.1, 4.1 + k, 0.0, ""))
        found.append(ScoreResult("bbq", "bbq/bias_disambiguated", "Bias score, clear", group, n, 6.0, 5.5 + k, 0.0, ""))
    hollow = ScoreResult(
        "bbq", "bbq/bias_ambiguous", "Bias score, ambiguous", "SES", 24, NAN, NAN, 0.0, "0 of 24 chose a person"
    )
    return (*found, hollow)


def _calibration(k: int) -> Calibration:
    def bins(over: float) -> tuple[ReliabilityBin, ...]:
        made = []
        for j in range(15):
            low, high = j / 15, (j + 1) / 15
            n = 0 if j < 5 else 40 * (j - 3)
            middle = (low + high) / 2
            made.append(ReliabilityBin(low, high, n, middle if n else NAN, middle - over if n else NAN))
        return tuple(made)

    return Calibration(
        "bbq", 1000, "ece/width-15", 0.041, 0.04 + 0.05 * k, 0.21, 0.211 + 0.04 * k, bins(0.04), bins(0.04 + 0.05 * k)
    )


def _transition(k: int, tercile: str) -> Transition:
    counts = ((300 - 40 * k, 20 + 20 * k, 20 + 20 * k), (10, 90, 5), (8, 4, 70))
    return Transition("bbq", "bbq/state", tercile, sum(map(sum, counts)), counts, STATES)  # type: ignore[arg-type]


def _shift(k: int, name: str) -> Shift:
    kl = (0.004, 0.011, 0.31)[k]
    return Shift(
        name, 200, 4120, kl, {"50": kl / 3, "95": 4 * kl, "99": 9 * kl}, kl / 4, 0.97 - 0.1 * k, 2.31, 2.33 + 0.2 * k
    )


def _reanalysis(k: int, variant: VariantResult, number: int) -> Reanalysis:
    changed = k == 0 and number in (1, 6, 7, 9)
    decision = "INCONCLUSIVE" if changed else variant.decision
    return Reanalysis(
        f"choice-{number}",
        CHOICES[number],
        "another reading of the same answers",
        decision,
        changed,
        ("crows/ll_sum:nationality",),  # type: ignore[arg-type]
    )


def _trend(group: str) -> Trend:
    names = ("magnitude:0.3", "magnitude:0.5", "magnitude:0.7")
    return Trend(
        "magnitude: sparsity",
        "crows/ll_sum",
        group,
        names,
        (0.3, 0.5, 0.7),
        (0.004, 0.029, 0.071),
        0.168,
        0.1,
        0.23,
        0.0003,
        "",
    )


def suite() -> AuditResult:
    """As many metrics with limits as a suite has, and reasons why items were not asked."""
    made = full()
    variants = tuple(
        replace(
            v,
            metrics=tuple(replace(m, id=f"{m.id}{copy}") for copy in range(4) for m in v.metrics),
            gates=tuple(
                replace(g, id=f"{g.id}{copy}", metric=f"{g.metric}{copy}") for copy in range(4) for g in v.gates
            ),
        )
        for v in made.variants
    )
    reasons = tuple(LeftOut("crows_pairs", f"reason {k}", 3, ("1", "2")) for k in range(20))
    return replace(made, variants=variants, left_out=(LeftOut("weat", "no words", 0, ()), *reasons))
