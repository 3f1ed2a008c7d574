"""From paired changes to a verdict: statistics.md section 12 over the limits that were fixed before the run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fairopt import stats
from fairopt.audit.effects import Paired, contrasts, test
from fairopt.audit.policy import GateSpec, Policy
from fairopt.audit.result import GateResult

_SAME_MODEL = "the weights are the base model's and so is every score: no change, by construction"


@dataclass(frozen=True)
class Gate:
    """One limit with the test that it is put to."""

    spec: GateSpec
    paired: Paired  # the items of its group
    test: stats.PairedTest
    note: str = ""


def gates(specs: Sequence[GateSpec], paired: Paired, again: Paired, policy: Policy, *, same_model: bool) -> list[Gate]:
    """The gates of one metric. ``again`` is base against base; ``same_model`` says that the weights are equal."""
    who = contrasts(paired, policy.alpha) if any(spec.quantity == "tau" for spec in specs) else {}
    found = []
    for spec in specs:
        group = paired.group(spec.group)
        tested = test(group, spec.margin, policy.alpha)
        if spec.quantity == "tau":
            tested = _tau_test(tested, who.get(spec.group), spec, policy.alpha)
        if spec.kind == "equivalence":
            tested = stats.equivalence(tested)
        if same_model and not np.any(paired.d):  # NaN counts as a difference
            found.append(Gate(spec, group, _unchanged(tested), _SAME_MODEL))
        else:
            found.append(Gate(spec, group, _heard(tested, again.group(spec.group), spec.margin)))
    return found


def _tau_test(
    tested: stats.PairedTest, contrast: stats.Contrast | None, spec: GateSpec, alpha: float
) -> stats.PairedTest:
    if contrast is None:
        return replace(
            tested, reason=f"{spec.group} is the only group of its axis: there are no others to compare with"
        )
    if tested.reason:
        return tested
    return stats.contrast_test(contrast, margin=spec.margin, alpha=alpha)


def _unchanged(tested: stats.PairedTest) -> stats.PairedTest:
    """A spread of zero says nothing about unseen items, unless the two models are one."""
    return replace(
        tested, estimate=0.0, low=0.0, high=0.0, p_ok=0.0, p_bad=1.0, reason="", no_ship="", no_hold="", warning=""
    )


def run_variance(again: Paired) -> float:
    """Variance that one more run adds to the metric (statistics.md F9 with two base runs); NaN where undefined."""
    change = again.variant - again.base
    n = len(change)
    between_runs = float(np.mean(change)) ** 2 / 2
    within_items = float(np.mean(change**2)) / 2 / n
    return (1 + 1 / 2) * max(0.0, between_runs - within_items)


def _heard(tested: stats.PairedTest, again: Paired, margin: float) -> stats.PairedTest:
    """No claim where the instrument's own noise could matter: at a tenth of the margin it widens intervals by 0.5 %."""
    noise = 1.645 * math.sqrt(run_variance(again)) if again.undefined == 0 else math.inf
    if noise <= margin / 10:
        return tested
    reason = f"base against base moves by up to {noise:.2g}, not small beside the limit {margin:g}"
    return replace(tested, no_ship=reason, no_hold=reason)


def decide(found: Sequence[Gate], policy: Policy) -> tuple[stats.Verdict, tuple[GateResult, ...]]:
    """The verdict over all gates of a variant."""
    verdict = stats.verdict({g.spec.id: g.test for g in found}, alpha_ship=policy.alpha, alpha_hold=policy.alpha)
    return verdict, tuple(_result(gate, verdict.states, verdict.p_bad_holm, policy) for gate in found)


def _result(
    gate: Gate, states: Mapping[str, stats.GateState], p_bad_holm: Mapping[str, float], policy: Policy
) -> GateResult:
    spec, tested = gate.spec, gate.test
    delta, low, high = gate.paired.oriented(tested.estimate, tested.low, tested.high)
    harmful = low if gate.paired.sign > 0 else high
    detectable = _min_detectable(gate, policy)
    return GateResult(
        id=spec.id,
        metric=spec.metric,
        group=spec.group,
        kind=spec.kind,
        margin=spec.margin,
        n=tested.n,
        delta=delta,
        bound=harmful if spec.kind == "non_inferiority" else max(low, high, key=abs),
        p_ok=tested.p_ok,
        p_bad=tested.p_bad,
        p_bad_holm=p_bad_holm[spec.id],
        state=states[spec.id],
        discordance=tested.discordance,
        design_effect=tested.design_effect,
        min_detectable=detectable,
        items_needed=_items_needed(gate, detectable) if states[spec.id] == "undecided" else None,
        reason=tested.reason or tested.no_ship or gate.note or tested.warning,
        quantity=spec.quantity,
    )


def _min_detectable(gate: Gate, policy: Policy) -> float:
    """Margin that a true no-change passes with the policy's power; two-sided gates must pass on both sides."""
    tested = gate.test
    if tested.reason or gate.note:
        return math.nan
    power = (1 + policy.power) / 2 if gate.spec.kind == "equivalence" else policy.power
    if gate.paired.binary and gate.spec.quantity == "delta":
        return stats.min_detectable(
            tested.discordance, tested.n, alpha=policy.alpha, power=power, design_effect=tested.design_effect
        )
    return stats.min_detectable_mean(tested.se, alpha=policy.alpha, power=power)


def _items_needed(gate: Gate, detectable: float) -> int | None:
    """Items in all, were the change to stay as it is; None where more of them would not settle it.

    The smallest detectable margin shrinks with the root of n until it fits into the room between change and limit.
    """
    harm = -gate.test.estimate if gate.spec.kind == "non_inferiority" else abs(gate.test.estimate)
    room = gate.spec.margin - max(0.0, harm)
    if not (math.isfinite(detectable) and room > 0 and detectable > room):
        return None
    return math.ceil(gate.test.n * (detectable / room) ** 2)
