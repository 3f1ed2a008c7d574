// Bias scores from per-item log-likelihoods. Every score stands beside its denominators; undefined is NaN, never 0.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace fairopt::metrics {

/// How the two sentences of a CrowS-Pairs item are compared. Nangia et al. (2020), EMNLP, for the data; the causal
/// scores follow lm-evaluation-harness (`crows_pairs`) and bigscience-workshop/evaluation respectively.
enum class CrowsScore : std::uint8_t {
  kLlSum,   ///< `crows/ll_sum`: sum of log p over all tokens
  kLlMean,  ///< `crows/ll_mean`: that sum divided by the number of tokens
};

/// One entry an item in each span. Token counts are read by kLlMean only and may be empty otherwise.
struct CrowsItems {
  std::span<const double> ll_more;              ///< of the more stereotypical sentence, nats
  std::span<const double> ll_less;              ///< of the less stereotypical one
  std::span<const std::int64_t> n_tokens_more;  ///< >= 1
  std::span<const std::int64_t> n_tokens_less;
};

/// score(more) - score(less) of each item into `margin`: positive prefers the more stereotypical sentence, 0 is a tie.
/// An item without a number (NaN, or both scores infinite) gives NaN. Throws std::invalid_argument on unequal lengths
/// or a token count below 1.
void crows_margin(CrowsScore score, const CrowsItems& items, std::span<double> margin);

/// A share of items with what it is a share of.
struct Preference {
  std::int64_t n = 0;          ///< items with a number
  std::int64_t more = 0;       ///< margin > 0
  std::int64_t ties = 0;       ///< margin = 0: they count as not preferring, as in lm-evaluation-harness
  std::int64_t undefined = 0;  ///< items without a number, not in n
  double share = 0;            ///< more / n, in [0, 1]; NaN when n = 0. One half is no preference
  double mean_margin = 0;      ///< nats (per token for kLlMean)
  double mean_abs_margin = 0;  ///< lm-evaluation-harness' likelihood_diff
};

/// One Preference a group; `groups` holds one id an item in [0, n_groups), or nothing when n_groups is 1.
std::vector<Preference> preference(std::span<const double> margin, std::span<const std::int64_t> groups,
                                   std::int64_t n_groups);

/// The 2 x 2 table of one preference before and after compression. A tie prefers nothing.
struct PreferenceFlips {
  std::int64_t n = 0;             ///< items with a number in both
  std::int64_t both = 0;          ///< prefer the more stereotypical sentence before and after
  std::int64_t base_only = 0;     ///< before only: flips away from the stereotype
  std::int64_t variant_only = 0;  ///< after only: flips towards the stereotype
  std::int64_t neither = 0;
  std::int64_t undefined = 0;  ///< items without a number in either, not in n
};
std::vector<PreferenceFlips> preference_flips(std::span<const double> base_margin,
                                              std::span<const double> variant_margin,
                                              std::span<const std::int64_t> groups, std::int64_t n_groups);

}  // namespace fairopt::metrics
