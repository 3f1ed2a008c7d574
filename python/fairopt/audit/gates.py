"""Putting a metric's evidence to the limits that were fixed before the run: one test a gate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypedDict

import numpy as np

from fairopt import stats
from fairopt.audit.effects import KAPPA, contrasts, others_of_axis, paired_test, undefined
from fairopt.audit.noise import Reruns, beyond_others, reruns, unheard, widened
from fairopt.audit.paired import Paired
from fairopt.audit.policy import GateSpec, Policy
from fairopt.audit.rule import Direction

_SAME_MODEL = "the weights are the base model's and so is every score: no change, by construction"
_UNMOVED = "other weights, and no score moved by a single bit: without a spread nothing is known of unseen items"


@dataclass(frozen=True)
class Evidence:
    """One metric of one benchmark, in all runs."""

    paired: Paired
    again: tuple[Paired, ...]  # the first base run against each other one
    same_model: bool  # the variant's weights are the base model's
    collapsed: str = ""  # why the variant's answers cannot be read


@dataclass(frozen=True)
class Gate:
    """One limit with the test that it is put to."""

    spec: GateSpec
    paired: Paired  # the items of its group, turned so that ``+`` is what the limit calls better
    test: stats.PairedTest  # of ``d``; for a level or a ratio of the number itself
    note: str = ""

    @property
    def shown(self) -> tuple[float, float, float]:
        """Estimate and interval of the gate's quantity, in its own sign."""
        numbers = self.test.estimate, self.test.low, self.test.high
        if self.spec.quantity in ("level", "ratio"):
            return numbers
        if self.spec.quantity == "excess_churn":
            return 0.0 - numbers[0], 0.0 - numbers[2], 0.0 - numbers[1]
        return self.paired.oriented(*numbers)


COLLAPSED = "not interpretable: the variant's answers are not those of a language model any more"


def gate(spec: GateSpec, evidence: Evidence, policy: Policy, *, kappa: float = KAPPA) -> Gate:
    """Put one limit to its test."""
    everyone = turned(evidence.paired, spec.direction)
    paired = everyone.group(spec.group)
    metric = evidence.paired.metric
    if evidence.collapsed and metric.harm != "lower" and not metric.capability:
        return Gate(spec, paired, undefined(COLLAPSED, spec.margin))
    test = _TESTS[spec.quantity](spec, everyone, evidence, policy.alpha_ship, kappa)
    if spec.kind == "equivalence":
        test = stats.equivalence(test)
    if spec.quantity in ("delta", "tau") and evidence.same_model and _unmoved(paired):
        return Gate(spec, paired, _by_construction(test), _SAME_MODEL)
    if test.no_ship and spec.quantity == "delta" and not paired.binary and _unmoved(paired):
        # Not decided by the weights, and not by the sample: a spread of zero says nothing about unseen items.
        return Gate(spec, paired, replace(test, no_ship=_UNMOVED))
    return Gate(spec, paired, test)


def turned(paired: Paired, direction: Direction) -> Paired:
    """The same items, read so that ``direction`` is the harmful one."""
    return paired if paired.harm == direction else replace(paired, harm=direction)


def _change(spec: GateSpec, everyone: Paired, evidence: Evidence, alpha: float, kappa: float) -> stats.PairedTest:
    noise = reruns(evidence.again, spec.group).noise
    return paired_test(everyone.group(spec.group), spec.margin, alpha, kappa=kappa, noise=noise)


def _tau(spec: GateSpec, everyone: Paired, evidence: Evidence, alpha: float, kappa: float) -> stats.PairedTest:
    tested = _change(spec, everyone, evidence, alpha, kappa)
    contrast = contrasts(everyone, alpha).get(spec.group)
    if contrast is None:
        return undefined(
            f"{spec.group} is the only group of its axis: there are no others to compare with", spec.margin
        )
    if tested.reason:
        return tested
    others = others_of_axis(everyone, spec.group)
    noise = beyond_others(*(reruns(evidence.again, name).noise for name in (spec.group, *others)))
    return unheard(stats.contrast_test(widened(contrast, noise), margin=spec.margin, alpha=alpha), noise)


def _level(spec: GateSpec, everyone: Paired, evidence: Evidence, alpha: float, kappa: float) -> stats.PairedTest:
    return _resolved(_level_test(spec, everyone, alpha), spec, reruns(evidence.again, spec.group))


def _level_test(spec: GateSpec, everyone: Paired, alpha: float) -> stats.PairedTest:
    paired = everyone.group(spec.group)
    limit: Limit = {"limit": spec.margin, "fine": _fine_side(spec), "alpha": alpha}
    if paired.missing:
        return undefined(paired.missing, spec.margin)
    if paired.kind == "ratio":
        return stats.absolute_influence(
            paired.levels[1], paired.influences[1], paired.clusters, support=paired.support, **limit
        )
    if paired.binary:
        sizes, hits = paired.cluster_counts(paired.variant > 0)
        return stats.absolute_share(hits, sizes, **limit)
    return stats.absolute_mean(paired.variant, paired.clusters, **limit)


def _ratio(spec: GateSpec, everyone: Paired, _: Evidence, alpha: float, kappa: float) -> stats.PairedTest:
    paired = everyone.group(spec.group)
    if paired.missing:
        return undefined(paired.missing, spec.margin)
    limit: Limit = {"limit": spec.margin, "fine": _fine_side(spec), "alpha": alpha}
    if paired.binary:
        return stats.recovery_binary(paired.base, paired.variant, paired.clusters, kappa=kappa, **limit)
    return stats.recovery_test(paired.base, paired.variant, paired.clusters, **limit)


def _excess_churn(spec: GateSpec, everyone: Paired, evidence: Evidence, alpha: float, kappa: float) -> stats.PairedTest:
    paired = everyone.group(spec.group)
    if not evidence.again:
        return undefined("the base model was scored once: what it changes by itself is not known", spec.margin)
    rerun = evidence.again[0].group(spec.group)
    if paired.missing or rerun.missing:
        return undefined(paired.missing or rerun.missing, spec.margin)
    return stats.excess_churn(
        paired.base, rerun.variant, paired.variant, paired.clusters, margin=spec.margin, kappa=kappa, alpha=alpha
    )


_TESTS = {"delta": _change, "tau": _tau, "level": _level, "ratio": _ratio, "excess_churn": _excess_churn}


class Limit(TypedDict):
    """What the tests of one number take."""

    limit: float
    fine: Literal["below", "above"]
    alpha: float


def _resolved(tested: stats.PairedTest, spec: GateSpec, again: Reruns) -> stats.PairedTest:
    """No claim about a level that is as near to its limit as the base model's runs are to each other."""
    if again.noise.reason or tested.reason or abs(tested.estimate - spec.margin) > again.shift:
        return unheard(tested, again.noise)
    reason = f"base against base moves by {again.shift:.2g}, as far as the value is from its limit"
    return replace(tested, no_ship=reason, no_hold=reason)


def _fine_side(spec: GateSpec) -> Literal["below", "above"]:
    return "below" if spec.direction == "higher" else "above"


def _by_construction(tested: stats.PairedTest) -> stats.PairedTest:
    """A spread of zero says nothing about unseen items, unless the two models are one."""
    return replace(
        tested, estimate=0.0, low=0.0, high=0.0, p_ok=0.0, p_bad=1.0, reason="", no_ship="", no_hold="", warning=""
    )


def _unmoved(paired: Paired) -> bool:
    if paired.kind == "ratio":
        return paired.levels[0] == paired.levels[1]
    return not np.any(paired.d)  # NaN counts as a difference
