"""Metrics as pure functions of per-item evidence.

The id of a metric names its variant: two implementations under one name are how published numbers come to disagree.
Every share comes with its denominators, undefined is NaN, and an item without a number is counted, never dropped in
silence.
"""

from __future__ import annotations

from fairopt.metrics.bbq import (
    BbqCounts,
    BbqItems,
    BbqPublished,
    BbqScores,
    BbqVariant,
    bbq_accuracy_cost,
    bbq_as_published,
    bbq_influence,
    bbq_parse_answer,
    bbq_read_answer,
    bbq_scores,
)
from fairopt.metrics.calibration import Reliability, ReliabilityBin, ace, brier, ece, mce, reliability
from fairopt.metrics.choices import UniformChoice, imbalance_influence, uniform_choice
from fairopt.metrics.counterfactual import counterfactual_flip_rate, counterfactual_gap, excess_flip_rate
from fairopt.metrics.crows_pairs import CrowsPllShared, crows_pll_shared, crows_rounded_margin
from fairopt.metrics.fairness import (
    average_odds_difference,
    demographic_parity_difference,
    demographic_parity_ratio,
    disparate_impact,
    equal_opportunity_difference,
    equal_opportunity_ratio,
    equalized_odds_difference,
    equalized_odds_ratio,
    statistical_parity_difference,
)
from fairopt.metrics.frame import frame
from fairopt.metrics.metric_frame import MetricFrame, WorstGroup
from fairopt.metrics.mixed_effects import RandomIntercept, discrimination_scores, random_intercept
from fairopt.metrics.multiple_choice import (
    answer_bits_per_byte,
    choice_confidence,
    choice_correct,
    choice_lead,
    choice_mass,
    choices,
)
from fairopt.metrics.named_group import Named, named_group
from fairopt.metrics.opinions import gini, js_distance, wasserstein_options
from fairopt.metrics.paired_frame import PairedFrame
from fairopt.metrics.perplexity import (
    bits_per_byte,
    bits_per_byte_influence,
    byte_counts,
    degradation_ratio,
    perplexity,
    word_counts,
)
from fairopt.metrics.preference import (
    CrowsMetric,
    Preference,
    PreferenceFlips,
    crows_margin,
    preference,
    preference_by,
    preference_flips,
    preference_flips_by,
)
from fairopt.metrics.question_gap import best_group_deviation, question_gap, question_gap_by_lot
from fairopt.metrics.rates import (
    accuracy,
    balanced_accuracy,
    f1,
    f1_by_class,
    false_negative_rate,
    false_positive_rate,
    precision,
    recall,
    selection_rate,
    true_negative_rate,
    true_positive_rate,
)
from fairopt.metrics.stance import Stance, stance, stance_as_published
from fairopt.metrics.stereoset import StereoSetScores, stereoset_scores
from fairopt.metrics.subgroup_auc import (
    EqualityDifference,
    SubgroupAuc,
    equality_difference,
    generalized_mean,
    roc_auc,
    roc_placements,
    subgroup_auc,
)
from fairopt.metrics.text_health import Health, collapse, health, text_health
from fairopt.metrics.text_overlap import BleuOptions, bleu, rouge
from fairopt.metrics.text_scores import GroupGap, TextScores, group_gap, text_scores
from fairopt.metrics.unqover import UnqoverItems, UnqoverScores, two_way, unqover_items, unqover_scores
from fairopt.metrics.weat import WeatPermutation, weat_associations, weat_effect_size, weat_permutation
from fairopt.metrics.world_bench import (
    ReadNumber,
    world_bench_error,
    world_bench_read,
    world_bench_read_as_published,
)

__all__ = [
    "BbqCounts",
    "BbqItems",
    "BbqPublished",
    "BbqScores",
    "BbqVariant",
    "BleuOptions",
    "CrowsMetric",
    "CrowsPllShared",
    "EqualityDifference",
    "GroupGap",
    "Health",
    "MetricFrame",
    "Named",
    "PairedFrame",
    "Preference",
    "PreferenceFlips",
    "RandomIntercept",
    "ReadNumber",
    "Reliability",
    "ReliabilityBin",
    "Stance",
    "StereoSetScores",
    "SubgroupAuc",
    "TextScores",
    "UniformChoice",
    "UnqoverItems",
    "UnqoverScores",
    "WeatPermutation",
    "WorstGroup",
    "accuracy",
    "ace",
    "answer_bits_per_byte",
    "average_odds_difference",
    "balanced_accuracy",
    "bbq_accuracy_cost",
    "bbq_as_published",
    "bbq_influence",
    "bbq_parse_answer",
    "bbq_read_answer",
    "bbq_scores",
    "best_group_deviation",
    "bits_per_byte",
    "bits_per_byte_influence",
    "bleu",
    "brier",
    "byte_counts",
    "choice_confidence",
    "choice_correct",
    "choice_lead",
    "choice_mass",
    "choices",
    "collapse",
    "counterfactual_flip_rate",
    "counterfactual_gap",
    "crows_margin",
    "crows_pll_shared",
    "crows_rounded_margin",
    "degradation_ratio",
    "demographic_parity_difference",
    "demographic_parity_ratio",
    "discrimination_scores",
    "disparate_impact",
    "ece",
    "equal_opportunity_difference",
    "equal_opportunity_ratio",
    "equality_difference",
    "equalized_odds_difference",
    "equalized_odds_ratio",
    "excess_flip_rate",
    "f1",
    "f1_by_class",
    "false_negative_rate",
    "false_positive_rate",
    "frame",
    "generalized_mean",
    "gini",
    "group_gap",
    "health",
    "imbalance_influence",
    "js_distance",
    "mce",
    "named_group",
    "perplexity",
    "precision",
    "preference",
    "preference_by",
    "preference_flips",
    "preference_flips_by",
    "question_gap",
    "question_gap_by_lot",
    "random_intercept",
    "recall",
    "reliability",
    "roc_auc",
    "roc_placements",
    "rouge",
    "selection_rate",
    "stance",
    "stance_as_published",
    "statistical_parity_difference",
    "stereoset_scores",
    "subgroup_auc",
    "text_health",
    "text_scores",
    "true_negative_rate",
    "true_positive_rate",
    "two_way",
    "uniform_choice",
    "unqover_items",
    "unqover_scores",
    "wasserstein_options",
    "weat_associations",
    "weat_effect_size",
    "weat_permutation",
    "word_counts",
    "world_bench_error",
    "world_bench_read",
    "world_bench_read_as_published",
]
