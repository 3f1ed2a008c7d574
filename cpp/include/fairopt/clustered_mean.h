// The mean of items that come in clusters, and its cluster-robust variance.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace fairopt::stats {

/// Small-sample corrections of the cluster-robust variance of a mean. With e_c the summed residuals of cluster c and
/// h_c its share of the items: sum e_c^2 / n^2, each term times
enum class ClusterVariance : std::uint8_t {
  kCR0,  ///< 1
  kCR1,  ///< C / (C - 1)
  kCR2,  ///< 1 / (1 - h_c): unbiased for independent items. Bell and McCaffrey (2002), Survey Methodology 28
  kCR3,  ///< 1 / (1 - h_c)^2: close to the jackknife
};

/// A sample reduced to its clusters: all that a mean and its variance need.
struct ClusterTotals {
  std::vector<double> sums;   ///< of value - origin, one a cluster
  std::vector<double> sizes;  ///< items, each >= 1
  double origin = 0;          ///< near the values: keeps equal values at a variance of exactly 0
};

struct ClusteredMean {
  double mean = 0;
  double variance = 0;          ///< of the mean
  double df = 0;                ///< Bell-McCaffrey for CR2, C - 1 otherwise
  std::int64_t n = 0;           ///< items
  std::int64_t n_clusters = 0;  ///< clusters that hold at least one item
  double n_eff = 0;             ///< n^2 / sum of squared sizes: how many equal clusters these are worth
  std::string reason;           ///< why mean, variance or df are NaN; empty when they are not
};

/// Reduces `values` by `clusters`: one id an item, ids in [0, n). No ids at all makes each item its own cluster.
/// Ids that do not occur make no cluster. Throws std::invalid_argument when the lengths differ or an id is out of
/// range.
ClusterTotals cluster_totals(std::span<const double> values, std::span<const std::int64_t> clusters, const char* op);

/// One pass over the clusters. Fewer than 2 of them: variance and df are NaN. A value that is not finite: all are.
ClusteredMean clustered_mean(const ClusterTotals& totals, ClusterVariance kind = ClusterVariance::kCR2);

/// Satterthwaite degrees of freedom of the CR2 variance of a mean, were the items independent. Equal sizes give C - 1.
double bell_mccaffrey_df(std::span<const double> sizes);

}  // namespace fairopt::stats
