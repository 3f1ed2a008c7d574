"""Paired statistics: is the compressed model worse than the base model by less than a margin, on the same items?

Signs, everywhere: ``d = compressed - base`` for one item, turned so that ``+`` is better; ``worse`` counts harmful
flips, ``better`` beneficial ones. Undefined numbers are NaN beside a ``reason``; bad arguments raise
:class:`ValueError`. The work is done by ``fairopt._core`` (``cpp/src/stats``); which procedure is the default where,
and why: docs/statistics.md.
"""

from __future__ import annotations

from fairopt.stats.agreement import agreement, answer_changes, state_transitions
from fairopt.stats.bootstrap import Bootstrap, BootstrapMethod, bootstrap, bootstrap_flips, bootstrap_statistic
from fairopt.stats.contrasts import contrast_test, who_pays, who_pays_binary, who_pays_influence
from fairopt.stats.decision import verdict
from fairopt.stats.groups import between_groups, heterogeneity, simpson_reversal
from fairopt.stats.limits import (
    FineSide,
    absolute_influence,
    absolute_mean,
    absolute_share,
    clopper_pearson,
    recovery_binary,
    recovery_test,
)
from fairopt.stats.max_t import (
    MaxT,
    MaxTMethod,
    max_t_quantile,
    who_pays_binary_max_t,
    who_pays_influence_max_t,
    who_pays_max_t,
)
from fairopt.stats.multiplicity import benjamini_hochberg, benjamini_yekutieli, holm
from fairopt.stats.noise import excess_churn, noise_ceiling, odd_one_out, run_variance
from fairopt.stats.paired import (
    clustered_mean,
    equivalence,
    paired_binary,
    paired_binary_clustered,
    paired_influence,
    paired_mean,
    tango,
)
from fairopt.stats.permutation import GapPermutation, SignFlip, gap_permutation, sign_flip
from fairopt.stats.power import items_needed, min_detectable, min_detectable_mean
from fairopt.stats.rank import RankTests, mann_whitney
from fairopt.stats.resampling import resample_counts
from fairopt.stats.results import (
    Agreement,
    AnswerChanges,
    BetweenGroups,
    ClusteredMean,
    Contrast,
    Decision,
    DoseTrend,
    GateKind,
    GateState,
    Heterogeneity,
    Interval,
    PairedTest,
    RunNoise,
    Transitions,
    TypicalShift,
    Verdict,
)
from fairopt.stats.shares import at_least_one, better_share, cohens_h, mcnemar, newcombe, wilson
from fairopt.stats.shift import dose_trend, dose_trend_influence, hodges_lehmann, js_divergence, kl_divergence, same_top

__all__ = [
    "Agreement",
    "AnswerChanges",
    "BetweenGroups",
    "Bootstrap",
    "BootstrapMethod",
    "ClusteredMean",
    "Contrast",
    "Decision",
    "DoseTrend",
    "FineSide",
    "GapPermutation",
    "GateKind",
    "GateState",
    "Heterogeneity",
    "Interval",
    "MaxT",
    "MaxTMethod",
    "PairedTest",
    "RankTests",
    "RunNoise",
    "SignFlip",
    "Transitions",
    "TypicalShift",
    "Verdict",
    "absolute_influence",
    "absolute_mean",
    "absolute_share",
    "agreement",
    "answer_changes",
    "at_least_one",
    "benjamini_hochberg",
    "benjamini_yekutieli",
    "better_share",
    "between_groups",
    "bootstrap",
    "bootstrap_flips",
    "bootstrap_statistic",
    "clopper_pearson",
    "clustered_mean",
    "cohens_h",
    "contrast_test",
    "dose_trend",
    "dose_trend_influence",
    "equivalence",
    "excess_churn",
    "gap_permutation",
    "heterogeneity",
    "hodges_lehmann",
    "holm",
    "items_needed",
    "js_divergence",
    "kl_divergence",
    "mann_whitney",
    "max_t_quantile",
    "mcnemar",
    "min_detectable",
    "min_detectable_mean",
    "newcombe",
    "noise_ceiling",
    "odd_one_out",
    "paired_binary",
    "paired_binary_clustered",
    "paired_influence",
    "paired_mean",
    "recovery_binary",
    "recovery_test",
    "resample_counts",
    "run_variance",
    "same_top",
    "sign_flip",
    "simpson_reversal",
    "state_transitions",
    "tango",
    "verdict",
    "who_pays",
    "who_pays_binary",
    "who_pays_binary_max_t",
    "who_pays_influence",
    "who_pays_influence_max_t",
    "who_pays_max_t",
    "wilson",
]
