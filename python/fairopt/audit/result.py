"""What an audit found, as plain data: the only thing the report reads.

Signs: ``delta`` is variant minus base in the metric's own unit; :attr:`MetricResult.harm` says which sign is
the harmful one. Intervals are two-sided 90 %, so that the harmful end *is* the one-sided 95 % bound which the
gate compares with its limit.
Undefined numbers are NaN beside a ``reason``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

State = Literal["pass", "fail", "undecided", "undefined"]
Decision = Literal["SHIP", "HOLD", "INCONCLUSIVE"]


@dataclass(frozen=True)
class GroupEffect:
    """One group (or ``all``) under one metric: base, variant, and the paired change."""

    group: str
    axis: str
    n: int
    n_clusters: int
    base: float
    variant: float
    delta: float
    low: float
    high: float
    worse: int | None  # items that changed sides in the harmful direction (binary metrics)
    better: int | None
    ties_base: int
    ties_variant: int
    tau: float  # delta minus the mean delta of the axis's other groups; NaN for `all`
    tau_low: float
    tau_high: float
    tau_p: float  # Holm-adjusted within the axis, one-sided in the harmful direction
    pays: bool  # tau_p <= alpha and the group is large enough for a claim
    reason: str  # why numbers are NaN or the group is too small to judge; empty otherwise


@dataclass(frozen=True)
class GateResult:
    """One limit of the policy, for one metric and one group."""

    id: str  # "crows/ll_sum:all"
    metric: str
    group: str
    kind: Literal["non_inferiority", "equivalence"]
    margin: float
    n: int
    delta: float  # or tau, when the policy gates the change beyond the axis's mean
    bound: float  # the harmful end of the interval (for equivalence: the end that is farther out)
    p_ok: float
    p_bad: float
    p_bad_holm: float
    state: State
    discordance: float  # rho: share of items that changed sides (binary), else NaN
    design_effect: float
    min_detectable: float  # margin that a true no-change would pass with 80 % power
    items_needed: int | None  # "at least": for an undecided gate, were the change to stay as it is
    reason: str
    quantity: Literal["delta", "tau"] = "delta"  # which of the group's numbers the limit is for


@dataclass(frozen=True)
class Noise:
    """Base against base in another batch order: what the instrument moves by itself."""

    n: int
    flips: int  # binary metrics: items whose side changed between the two base runs
    ceiling: float  # one-sided 95 % upper bound of the flip rate
    max_shift: float  # largest change of one item's log-likelihood, nats
    mean_shift: float  # change of the metric itself


@dataclass(frozen=True)
class MetricResult:
    """One metric of one benchmark for one variant. ``groups[0]`` is ``all``."""

    benchmark: str
    id: str
    title: str
    kind: str
    unit: str
    harm: str
    gated: bool
    groups: tuple[GroupEffect, ...]
    mcnemar_p: float  # direction of flips, exact, two-sided (binary metrics), else NaN
    noise: Noise


@dataclass(frozen=True)
class Flip:
    """One item whose preference changed. Texts are benchmark data: offensive by design, and untrusted."""

    metric: str
    item_id: str
    group: str
    direction: Literal["worse", "better"]
    texts: tuple[str, ...]
    base: float  # the signed margin behind the preference, before
    variant: float  # and after


@dataclass(frozen=True)
class VariantResult:
    name: str  # as the user wrote it: "int4:g=32"
    recipe: str  # canonical recipe, or "" for a model that came as a folder
    weights_hash: str
    bytes: int  # of all parameters and buffers as stored
    base_bytes: int
    bits_per_weight: float  # over the compressed layers; NaN when none
    sparsity: float  # share of zeros over the compressed layers
    decision: Decision
    deciding: tuple[str, ...]  # ids of the gates that decided
    gates: tuple[GateResult, ...]
    metrics: tuple[MetricResult, ...]
    flips: tuple[Flip, ...]
    health: Mapping[str, float]  # per benchmark: "<benchmark>/nats_per_token" base and variant as "…:base", "…:variant"


@dataclass(frozen=True)
class Check:
    """One thing that has to be the same on both sides."""

    name: str
    base: str
    variant: str

    @property
    def same(self) -> bool:
        return self.base == self.variant


@dataclass(frozen=True)
class AuditResult:
    base: str
    base_weights_hash: str
    run_id: str
    descriptor_hash: str
    policy_hash: str
    alpha: float
    command: str  # replays this audit
    benchmarks: Mapping[str, Mapping[str, str]]  # name -> title, version, licence, home, n_items
    caveats: tuple[str, ...]
    versions: Mapping[str, str]
    comparable: Mapping[str, tuple[Check, ...]]  # variant -> checks
    variants: tuple[VariantResult, ...]

    @property
    def decision(self) -> Decision:
        """HOLD if any variant holds, else INCONCLUSIVE if any is, else SHIP: what the exit code says."""
        decisions = {v.decision for v in self.variants}
        return "HOLD" if "HOLD" in decisions else "INCONCLUSIVE" if "INCONCLUSIVE" in decisions else "SHIP"
