#include "fairopt/clustered_mean.h"

#include <cmath>
#include <numeric>

#include "stats/check.h"

namespace fairopt::stats {

ClusterTotals cluster_totals(std::span<const double> values, std::span<const std::int64_t> clusters, const char* op) {
  const std::size_t n = values.size();
  ClusterTotals totals{std::vector<double>(n), std::vector<double>(n, clusters.empty() ? 1 : 0), n ? values[0] : 0};
  if (clusters.empty()) {
    for (std::size_t i = 0; i < n; ++i) totals.sums[i] = values[i] - totals.origin;
    return totals;
  }
  require(clusters.size() == n, op, "clusters", fmt::format("one id for each of {} items", n), clusters.size());
  for (std::size_t i = 0; i < n; ++i) {
    const auto id = static_cast<std::size_t>(clusters[i]);
    require(id < n, op, "clusters", fmt::format("ids in [0, {})", n), clusters[i]);
    totals.sums[id] += values[i] - totals.origin;
    totals.sizes[id] += 1;
  }
  std::size_t kept = 0;
  for (std::size_t c = 0; c < n; ++c) {
    if (totals.sizes[c] == 0) continue;
    totals.sums[kept] = totals.sums[c];
    totals.sizes[kept++] = totals.sizes[c];
  }
  totals.sums.resize(kept);
  totals.sizes.resize(kept);
  return totals;
}

double bell_mccaffrey_df(std::span<const double> sizes) {
  const double n = std::accumulate(sizes.begin(), sizes.end(), 0.0);
  double squares = 0;
  double sum_u = 0;
  double sum_u2 = 0;
  for (const double size : sizes) {
    const double u = size * size / (1 - size / n);
    squares += size * size;
    sum_u += u;
    sum_u2 += u * u;
  }
  return n * n / (squares + (sum_u * sum_u - sum_u2) / (n * n));
}

ClusteredMean clustered_mean(const ClusterTotals& totals, ClusterVariance kind) {
  const auto& [sums, sizes, origin] = totals;
  const double n = std::accumulate(sizes.begin(), sizes.end(), 0.0);
  const double clusters = static_cast<double>(sizes.size());
  const double mean = std::accumulate(sums.begin(), sums.end(), 0.0) / n;
  double squares = 0;
  double variance = 0;
  for (std::size_t c = 0; c < sizes.size(); ++c) {
    const double residual = sums[c] - mean * sizes[c];
    const double rest = 1 - sizes[c] / n;
    const double correction = kind == ClusterVariance::kCR2 ? rest : kind == ClusterVariance::kCR3 ? rest * rest : 1;
    variance += residual * residual / (correction * n * n);
    squares += sizes[c] * sizes[c];
  }
  if (kind == ClusterVariance::kCR1) variance *= clusters / (clusters - 1);

  ClusteredMean result;
  result.n = static_cast<std::int64_t>(n);
  result.n_clusters = static_cast<std::int64_t>(sizes.size());
  result.n_eff = n > 0 ? n * n / squares : 0;
  result.mean = origin + mean;
  result.variance = variance;
  result.df = kind == ClusterVariance::kCR2 && sizes.size() > 1 ? bell_mccaffrey_df(sizes) : clusters - 1;
  if (n == 0) {
    result.reason = "no items";
  } else if (!std::isfinite(result.mean)) {
    result.reason = "a value is not finite";
    result.mean = kNaN;
  } else if (sizes.size() < 2) {
    result.reason = "fewer than 2 clusters";
  }
  if (!result.reason.empty()) result.variance = result.df = kNaN;
  return result;
}

}  // namespace fairopt::stats
