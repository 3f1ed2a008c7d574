#include "fairopt/mcnemar.h"

#include <algorithm>
#include <cmath>

#include "fairopt/distributions.h"
#include "stats/check.h"

namespace fairopt::stats {
namespace {

void check_counts(const char* op, std::int64_t worse, std::int64_t better) {
  require(worse >= 0, op, "worse", ">= 0", worse);
  require(better >= 0, op, "better", ">= 0", better);
}

/// The share at which P(X > x) + P(X = x) / 2 = alpha, X ~ Bin(n, share).
double mid_p_lower(std::int64_t x, std::int64_t n, double alpha) {
  if (x == 0) return 0;
  double low = 0;
  double high = 1;
  for (;;) {
    const double share = 0.5 * (low + high);
    if (share <= low || share >= high) return share;
    const double p = binomial_sf(x, n, share) + 0.5 * binomial_pmf(x, n, share);
    (p > alpha ? high : low) = share;
  }
}

}  // namespace

double mcnemar(std::int64_t worse, std::int64_t better, McNemarMethod method, Alternative alternative) {
  check_counts("mcnemar", worse, better);
  const std::int64_t n = worse + better;
  if (n == 0) return 1;
  const std::int64_t few = alternative == Alternative::kTwoSided ? std::min(worse, better)
                           : alternative == Alternative::kWorse  ? better
                                                                 : worse;
  const double half_point = method == McNemarMethod::kMidP ? 0.5 * binomial_pmf(few, n, 0.5) : 0;
  const double tail = binomial_cdf(few, n, 0.5) - half_point;
  return alternative == Alternative::kTwoSided ? std::min(1.0, 2 * tail) : tail;
}

Interval better_share(std::int64_t worse, std::int64_t better, double level) {
  check_counts("better_share", worse, better);
  require_level("better_share", level);
  const std::int64_t n = worse + better;
  if (n == 0) return {kNaN, kNaN, level};
  const double alpha = 0.5 * (1 - level);
  return {mid_p_lower(better, n, alpha), 1 - mid_p_lower(worse, n, alpha), level};
}

Interval wilson(std::int64_t x, std::int64_t n, double level) {
  require(n >= 0, "wilson", "n", ">= 0", n);
  require(x >= 0 && x <= n, "wilson", "x", fmt::format("in [0, {}]", n), x);
  require_level("wilson", level);
  if (n == 0) return {kNaN, kNaN, level};
  const double z = normal_quantile(0.5 * (1 + level));
  // The smaller root of a quadratic as product over larger root: no cancellation at x = 0, nor at x = n.
  const auto lower = [z, n](double hits) {
    const double total = static_cast<double>(n);
    const double larger = hits + 0.5 * z * z + z * std::sqrt(hits * (1 - hits / total) + 0.25 * z * z);
    return hits * hits / (total * larger);
  };
  return {lower(static_cast<double>(x)), 1 - lower(static_cast<double>(n - x)), level};
}

}  // namespace fairopt::stats
