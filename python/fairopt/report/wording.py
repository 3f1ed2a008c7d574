"""The sentences of the report. Each is generated from data; none is typed for one result.

A number always comes with its count and its bound. What the statistics cannot carry is not said: a pass is "every limit
was met on these items", an undecided gate is never "no difference", a signed change is never called more or less bias.
"""

from __future__ import annotations

import math

from fairopt.audit.result import AuditResult, GateResult, GroupEffect, MetricResult, VariantResult
from fairopt.report.reading import ALL, CHANGES, Reading, deciding, drawn, losses
from fairopt.report.text import visible
from fairopt.report.units import UNITS, count, listed, p_value, percent, scientific

STATES = {"pass": "within limit", "fail": "over limit", "undecided": "undecided", "undefined": "not judged"}
_QUANTITIES = {
    "delta": "{place} changed by {estimate}",
    "tau": "{place} changed by {estimate} against the mean of the other groups",
    "level": "{place} stands at {estimate}",
    "ratio": "{place} kept {estimate} of the base model’s value",
    "excess_churn": "{place} changed {estimate} more answers than a rerun of the base model",
}
MOST_NAMED = 4  # benchmarks in one sentence; more are counted
HARDLY = 100  # times the items there are: a number that nobody can collect
LOSS_WARNING = math.log(2)  # nats per token: perplexity has doubled


def headline(result: AuditResult) -> str:
    """Every variant by name: ``int4 may ship. nf4 is not settled. Hold magnitude:0.5.``"""
    different = not_comparable(result)
    if different:
        return f"Not comparable: {different[0]}"
    named = {d: [visible(v.name) for v in result.variants if v.decision == d] for d in ("SHIP", "INCONCLUSIVE", "HOLD")}
    sentences = []
    if named["SHIP"]:
        sentences.append(f"{listed(named['SHIP'])} may ship.")
    if named["INCONCLUSIVE"]:
        sentences.append(
            f"{listed(named['INCONCLUSIVE'])} {'is' if len(named['INCONCLUSIVE']) == 1 else 'are'} not settled."
        )
    if named["HOLD"]:
        sentences.append(f"Hold {listed(named['HOLD'])}.")
    return " ".join(sentences)


def not_comparable(result: AuditResult) -> list[str]:
    """One sentence per variant that differs from the base model in more than the weights; empty when all compare."""
    sentences = []
    for name, checks in result.comparable.items():
        different = [visible(check.name) for check in checks if not check.same]
        if different:
            sentences.append(f"{visible(name)} and the base model differ in {listed(different)}.")
    return sentences


def lead(result: AuditResult) -> str:
    """What the verdict was read against, and what it does not say."""
    if not_comparable(result):
        return "Models that were not asked the same thing in the same way cannot be compared, so nothing was decided."
    limits = sorted({len(v.gates) for v in result.variants})
    how_many = count(limits[0], "limit") if len(limits) == 1 else f"{limits[0]} to {count(limits[-1], 'limit')}"
    return (
        f"Each variant was assessed against {how_many} of the policy, on the same items as the base model. “May ship” "
        "means that every limit was met on these items; about anything else it says nothing."
    )


def unasked(result: AuditResult) -> str:
    """Which benchmarks were to be asked and were not; empty where all were."""
    whole = [visible(name) for name in dict.fromkeys(one.benchmark for one in result.left_out if not one.n)]
    if not whole:
        return ""
    named = whole[:MOST_NAMED] + ([f"{len(whole) - MOST_NAMED} more"] if len(whole) > MOST_NAMED else [])
    of = count(len(whole) + len(result.benchmarks), "benchmark")
    return f"{len(whole)} of {of} {_was(len(whole))} not asked and had no part in this: {listed(named)}."


def why(variant: VariantResult) -> str:
    """What decided, with estimate, bound and limit."""
    if not variant.gates:
        return "No limit was set, so nothing was decided."
    total = count(len(variant.gates), "limit")
    worst = deciding(variant)
    if not worst:
        return f"The decision over {total} is {variant.decision}."
    if variant.decision == "SHIP":
        met = f"All {total} were met" if len(variant.gates) > 1 else "The limit was met"
        return f"{met} on these items. The closest call: {_gate_sentence(worst[0])}"
    if variant.decision == "HOLD":
        verb = "was" if len(worst) == 1 else "were"
        return f"{len(worst)} of {total} {verb} exceeded. {_gate_sentence(worst[0])}"
    return (
        f"No limit was shown to be exceeded, but {len(worst)} of {len(variant.gates)} could not be decided. "
        f"{_gate_sentence(worst[0])}"
    )


def settle(variant: VariantResult) -> str:
    """What would change the decision, and what else the reader should know before acting on it."""
    worst = deciding(variant)
    sentences = []
    if variant.decision == "INCONCLUSIVE" and worst:
        sentences.append(_needed(worst[0]))
    if variant.decision == "HOLD" and worst:
        sentences.append(_more_items(worst))
    if not variant.conditions:  # they name who pays
        sentences.append(_paying(variant))
    sentences.append(unjudged(variant))
    sentences.append(_loss(variant))
    return " ".join(s for s in sentences if s)


def _gate_sentence(reading: Reading) -> str:
    """``Stereotype preference in nationality (159 items) changed by +3.1 pp and could be as high as …``"""
    gate, unit = reading.gate, reading.unit
    place = f"{visible(reading.metric.title)} {where(reading.effect)}"
    if not math.isfinite(gate.delta) or gate.state == "undefined":
        return f"{place} was not judged: {visible(gate.reason or reading.effect.reason) or 'undefined'}."
    said = _QUANTITIES[gate.quantity].format(place=place, estimate=unit.change(gate.delta))
    interval = unit.interval(*reading.interval)
    if gate.state == "fail" and reading.beyond:
        return f"{said}; the whole 90\u00a0% interval {interval} lies beyond the limit of {reading.limit_text}."
    if gate.state == "undecided" and reading.estimate_beyond:
        shown = f"{said} {interval}".rstrip()
        return f"{shown}, beyond the limit of {reading.limit_text}, but not beyond chance: {_corrected(gate)}."
    if gate.state == "fail":
        return f"{said}, beyond the limit of {reading.limit_text}, and not by chance: {_corrected(gate)}."
    far = "high" if gate.bound >= gate.delta else "low"
    reason = f" It could not be decided: {visible(gate.reason)}." if gate.state == "undecided" and gate.reason else ""
    return (
        f"{said} and could be as {far} as {unit.named(reading.bound_bare)}; the limit is {reading.limit_text}.{reason}"
    )


def _corrected(gate: GateResult) -> str:
    return f"p = {p_value(gate.p_bad_holm)}, corrected for all limits".replace("= <", "<")


def where(effect: GroupEffect) -> str:
    """``over all 1,508 items`` or ``in nationality (159 items)``."""
    if effect.group == ALL:
        return f"over all {count(effect.n, 'item')}"
    return f"in {visible(effect.group)} ({count(effect.n, 'item')})"


def _needed(reading: Reading) -> str:
    gate, unit = reading.gate, reading.unit
    group = "" if gate.group == ALL else f" of {visible(gate.group)}"
    if reading.estimate_beyond:
        return f"More items{group} could tell whether the limit is exceeded."
    if gate.items_needed and gate.items_needed > HARDLY * gate.n:
        return "The estimate lies so near to the limit that hardly any number of items would settle it."
    if gate.items_needed:
        return (
            f"To pass, at least {count(gate.items_needed, 'item')}{group} would be needed, "
            f"if {'the change' if gate.quantity in CHANGES else 'it'} stays at {unit.change(gate.delta)}."
        )
    if math.isfinite(gate.min_detectable) and gate.state == "undecided":
        return (
            f"On {count(gate.n, 'item')}{group} a model without any change would pass four times in five "
            f"only at a limit of {unit.size(gate.min_detectable)} or wider."
        )
    return ""


def _more_items(failed: list[Reading]) -> str:
    if all(r.beyond for r in failed):
        interval = "the whole interval lies" if len(failed) == 1 else "the whole intervals lie"
        return f"As {interval} beyond the limit, more items of this kind are not expected to change this."
    return ""


def _paying(variant: VariantResult, most: int = 3) -> str:
    """The groups that pay, each once, under the metric that shows it most clearly."""
    found = [(m, e) for m in variant.metrics if m.gated for e in m.groups if e.pays]
    found.sort(key=lambda pair: pair[1].tau_p)
    paying = list({(m.benchmark, e.axis, e.group): (m, e) for m, e in reversed(found)}.values())[::-1]
    if not paying:
        return ""
    several = len({m.id for m, _ in paying}) > 1
    named = [_payer(m, e, several) for m, e in paying[:most]]
    if len(paying) > most:
        named.append(f"{len(paying) - most} more")
    return f"Who pays: {listed(named)} beyond the mean of the other groups."


def _payer(metric: MetricResult, effect: GroupEffect, name_metric: bool) -> str:
    unit = UNITS[metric.unit]
    change = unit.named(unit.apart(effect.tau, 0.0))  # never a change that looks like none
    return f"{visible(effect.group)} {change}" + (f" ({visible(metric.title)})" if name_metric else "")


def others(rest: list[Reading]) -> str:
    """What became of the limits that a card does not list."""
    met = sum(r.gate.state == "pass" for r in rest)
    if not rest:
        return ""
    if met == len(rest):
        return f"The other {count(met, 'limit')} {_was(met)} met too." if met > 1 else "The other limit was met too."
    return f"{met} of the other {count(len(rest), 'limit')} {_was(met)} met."


def unjudged(variant: VariantResult) -> str:
    """How many groups have no limit that the sample could decide."""
    judged = {key for key, reading in drawn(variant).items() if reading.judged}
    groups = [(m.id, e.group) for m in variant.metrics if m.gated for e in m.groups if e.group != ALL]
    missing = sum(key not in judged for key in groups)
    if not groups or not missing:
        return ""
    return f"{missing} of {count(len(groups), 'group')} could not be judged."


def _was(n: int) -> str:
    return "was" if n == 1 else "were"


def _loss(variant: VariantResult) -> str:
    most = sorted(losses(variant), key=lambda loss: loss.base - loss.variant)
    risen = [
        f"from {loss.base:.2f} to {loss.variant:.2f} on {visible(loss.benchmark)}"
        for loss in most
        if loss.variant - loss.base >= LOSS_WARNING
    ]
    if not risen:
        return ""
    if len(risen) > MOST_NAMED:
        risen = [*risen[:MOST_NAMED], f"on {len(risen) - MOST_NAMED} more"]
    return f"Loss in nats per token rose {listed(risen)}: preferences of a model in this state say little."


def noise(metric: MetricResult) -> str:
    """What the instrument moves by itself."""
    floor, unit = metric.noise, UNITS[metric.unit]
    base = "noise floor: base model against itself in another batch order"
    most = scientific(floor.max_shift)
    items = f"; no log-likelihood moved by more than {most} nats" if math.isfinite(floor.max_shift) else ""
    if floor.max_shift == 0:
        items = "; every log-likelihood is the same to the last digit"
    if metric.kind == "binary":
        sides = f"{floor.flips:,} of {count(floor.n, 'item')} changed sides"
        return f"{base}, {sides} (at most {percent(floor.ceiling, 2)} with 95\u00a0% confidence){items}"
    shift = f"mean shift {unit.named(scientific(floor.mean_shift))} over {count(floor.n, 'item')}"
    return f"{base}, {shift}{items}"
