"""What an audit found, as plain data: the only thing the report reads.

``delta`` is variant minus base in the metric's own unit; :attr:`MetricResult.harm` says which sign is the harmful one.
Intervals are two-sided 90 %: the harmful end *is* the one-sided 95 % bound of the gate. Undefined: NaN, with a reason.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from fairopt.audit.shown import Shown

Kind = Literal["non_inferiority", "equivalence", "absolute", "recovery", "churn"]
Quantity = Literal["delta", "tau", "level", "ratio", "excess_churn"]
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
    noise: float = math.nan  # largest change of the group's value between two base runs


@dataclass(frozen=True)
class GateResult(Shown):
    """One limit of the policy, for one metric and one group."""

    id: str  # "crows/ll_sum:all"
    metric: str
    group: str
    kind: Kind
    margin: float  # for an absolute gate: the bound on the variant's own value; for recovery: the smallest ratio
    n: int
    delta: float  # what `quantity` says: the change, tau, the variant's level, the ratio, or the excess churn
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
    quantity: Quantity = "delta"  # which of the group's numbers the limit is for
    rule: str = ""  # the policy's word that made this gate, where one rule makes many: "worst_group", "gap_growth"
    n_clusters: int = 0


@dataclass(frozen=True)
class Noise:
    """Base against base in other batches and orders: what the instrument moves by itself."""

    n: int
    runs: int  # base runs
    flips: int  # binary metrics: items whose side changed between the two base runs
    ceiling: float  # one-sided 95 % upper bound of the flip rate
    max_shift: float  # largest change of one item's log-likelihood, nats
    mean_shift: float  # change of the metric itself, the largest over the runs
    run_variance: float  # that one more run adds to the metric (docs/statistics.md, F9)


@dataclass(frozen=True)
class Gap:
    """How far apart the groups of one axis are, before and after. Descriptive: a maximum is never gated."""

    axis: str
    base: float  # largest minus smallest group value
    variant: float
    worst_base: str  # the group with the most harmful value
    worst_variant: str
    between_base: float  # variance between groups beyond sampling noise; may be negative
    between_variant: float
    heterogeneity_p: float  # Cochran's Q on the paired changes: "the groups do not change alike"
    permutation_p_base: float  # of a gap as large, were membership drawn by lot
    permutation_p_variant: float
    simpson: bool  # all items together move one way and every group the other
    reason: str  # why numbers are NaN


@dataclass(frozen=True)
class Agreement:
    """Two answers to the same items: the 2 x 2 table of a binary metric and what follows from it."""

    both: int  # value 1 in both
    base_only: int
    variant_only: int
    neither: int
    churn: float  # share of items whose value changed
    kappa: float  # Cohen's, NaN where a margin is empty
    cohens_h: float  # of the two shares
    noise_churn: float  # base against base
    excess_p: float  # odd one out of three runs: "the variant changes more answers than a rerun does"
    mcnemar_midp: float  # direction of flips, two-sided


@dataclass(frozen=True)
class Bins:
    """Counts in equal-width bins between ``edges[0]`` and ``edges[-1]``; values beyond are in the outer bins."""

    edges: tuple[float, ...]
    base: tuple[int, ...]
    variant: tuple[int, ...]


@dataclass(frozen=True)
class MetricResult(Shown):
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
    gaps: tuple[Gap, ...] = ()  # one an axis with at least two groups
    agreement: Agreement | None = None  # binary metrics
    margins: Bins | None = None  # histogram of the margin behind a binary value, else of the value


@dataclass(frozen=True)
class ScoreResult(Shown):
    """A number that the benchmark's authors publish, for all items and for each group."""

    benchmark: str
    id: str
    title: str
    group: str
    n: int
    base: float
    variant: float
    ideal: float
    reason: str
    low: float = math.nan  # of the change: bootstrap over clusters, two-sided 90 %; NaN where none is made
    high: float = math.nan


@dataclass(frozen=True)
class FactorLevel:
    """One number of a benchmark at one level of its factors, for all items: how much do free choices move it?"""

    benchmark: str  # without levels
    level: str  # "chat=on"; "defaults"
    id: str  # of the metric or score, without levels
    title: str
    unit: str
    n: int
    base: float
    variant: float
    delta: float
    low: float
    high: float


@dataclass(frozen=True)
class TextHealth:
    """Whether the texts that a benchmark's scores rest on are still texts (fairopt.metrics.text_health)."""

    benchmark: str
    group: str  # "all" first
    n: int  # texts of each side
    base: Mapping[str, float]  # "length", "distinct_2", ...
    variant: Mapping[str, float]
    collapsed: str  # why the variant's texts cannot be read as the base model's can; empty where they can


@dataclass(frozen=True)
class ScorerGap:
    """What a scorer of texts says of the same neutral sentences about the people of one axis: its own bias."""

    scorer: str
    number: str
    axis: str  # "race"
    sentences: int  # of all axes
    lowest: str  # the term with the lowest mean
    low: float
    highest: str
    high: float
    plain: float | None  # the mean of the same sentences without a term; null where it is undefined
    flagged: float | None  # share of the more harmful term's sentences that count as harmful; null where neither is


@dataclass(frozen=True)
class LeftOut:
    """Something that was not asked."""

    benchmark: str
    why: str
    n: int  # items, or places of the data; 0: the whole benchmark
    examples: tuple[str, ...]  # the first few


@dataclass(frozen=True)
class ReliabilityBin:
    """Items whose confidence lies in ``(low, high]``."""

    low: float
    high: float
    n: int
    confidence: float  # mean; NaN for n = 0
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """Do answers given with confidence p turn out right in a share p of the items?"""

    benchmark: str
    n: int
    ece_id: str  # "ece/width-15"
    ece_base: float
    ece_variant: float
    brier_base: float
    brier_variant: float
    bins_base: tuple[ReliabilityBin, ...]
    bins_variant: tuple[ReliabilityBin, ...]


@dataclass(frozen=True)
class Transition:
    """What became of the items of one third of the base model's uncertainty: unbiased, biased, counter-biased."""

    benchmark: str
    metric: str
    tercile: Literal["low", "middle", "high"]  # of the base model's entropy over the answers
    n: int
    counts: tuple[tuple[int, ...], ...]  # from state (row) to state (column)
    states: tuple[str, ...]


@dataclass(frozen=True)
class Shift:
    """How far the next-token distributions moved, on the texts of one benchmark. Magnitude, not direction."""

    benchmark: str
    n: int  # items of the sample
    n_tokens: int
    kl_mean: float  # KL(base || variant), nats a token
    kl_quantiles: Mapping[str, float]  # "50", "95", "99", over the texts
    js_mean: float
    same_top: float  # share of positions with the same most likely token
    entropy_base: float
    entropy_variant: float


@dataclass(frozen=True)
class Speed:
    """Measured on this machine in one process, when asked for: never part of a verdict."""

    base_tokens_per_second: float
    variant_tokens_per_second: float
    base_peak_bytes: int | None  # resident memory of the process at its highest; None where the system cannot say
    variant_peak_bytes: int | None
    machine: str


@dataclass(frozen=True)
class Reanalysis:
    """The verdict with one choice made otherwise."""

    id: str
    title: str  # "each group needs 50 items"
    why: str
    decision: Decision
    changed: bool  # differs from the verdict
    deciding: tuple[str, ...]


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
class VariantResult(Shown):
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
    conditions: tuple[str, ...] = ()  # what a SHIP comes with: groups that pay, heterogeneity, warnings
    collapsed: tuple[str, ...] = ()  # benchmarks on which the variant's answers are not interpretable, and why
    scores: tuple[ScoreResult, ...] = ()
    calibration: tuple[Calibration, ...] = ()
    transitions: tuple[Transition, ...] = ()
    shift: tuple[Shift, ...] = ()
    speed: Speed | None = None
    reanalyses: tuple[Reanalysis, ...] = ()
    factors: tuple[FactorLevel, ...] = ()
    texts: tuple[TextHealth, ...] = ()
    calibrated_on: Mapping[str, str] = field(default_factory=dict)  # tokens, sequences, seed, sha256; empty: on nothing


@dataclass(frozen=True)
class Trend:
    """Harm against dose over the variants of one family: ``magnitude`` at .3, .5, .7, or the bits of a format."""

    family: str  # "magnitude: sparsity", "int: bits"
    metric: str
    group: str
    variants: tuple[str, ...]
    doses: tuple[float, ...]
    deltas: tuple[float, ...]
    slope: float  # of delta per unit of dose
    low: float
    high: float
    p: float  # two-sided, of no slope
    reason: str


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
class AuditResult(Shown):
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
    trends: tuple[Trend, ...] = ()
    policy_name: str = "default"
    left_out: tuple[LeftOut, ...] = ()
    scorers: tuple[ScorerGap, ...] = ()

    @property
    def decision(self) -> Decision:
        """HOLD if any variant holds, else INCONCLUSIVE if any is, else SHIP: what the exit code says."""
        decisions = {v.decision for v in self.variants}
        return "HOLD" if "HOLD" in decisions else "INCONCLUSIVE" if "INCONCLUSIVE" in decisions else "SHIP"
