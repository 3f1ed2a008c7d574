#include "fairopt/tango.h"

#include <algorithm>
#include <cmath>

#include "fairopt/distributions.h"
#include "stats/check.h"

namespace fairopt::stats {

double tango_share(const FlipCounts& counts, double delta) {
  const auto [worse, better, n] = counts;
  const double a = 2 * n;
  const double b = (2 * n - better + worse) * delta - (worse + better);
  const double c = -worse * delta * (1 - delta);
  const double root = std::sqrt(std::max(0.0, b * b - 4 * a * c));
  // The larger root; written without the difference that would cancel.
  if (b <= 0) return (root - b) / (2 * a);
  return -2 * c / (b + root);
}

double tango_score(const FlipCounts& counts, double delta, double kappa) {
  const auto [worse, better, n] = counts;
  const double excess = better - worse - n * delta;
  const double u = std::copysign(std::max(std::abs(excess) - kappa, 0.0), excess);
  if (u == 0) return 0;
  const double variance = n * (2 * tango_share(counts, delta) + delta * (1 - delta));
  return u / std::sqrt(std::max(variance, 0.0));
}

double tango_lower(const FlipCounts& counts, double z, double kappa) {
  double rejected = -1;
  double kept = (counts.better - counts.worse) / counts.n;
  for (;;) {
    const double middle = 0.5 * (rejected + kept);
    if (middle <= rejected || middle >= kept) return kept;
    (tango_score(counts, middle, kappa) > z ? rejected : kept) = middle;
  }
}

Interval tango(const FlipCounts& counts, const TangoOptions& options) {
  const auto [worse, better, n] = counts;
  require(std::isfinite(n) && n >= 0, "tango", "n", "finite and >= 0", n);
  require(worse >= 0, "tango", "worse", ">= 0", worse);
  require(better >= 0, "tango", "better", ">= 0", better);
  require(worse + better <= n, "tango", "worse + better", fmt::format("at most n = {}", n), worse + better);
  require(options.kappa >= 0, "tango", "kappa", ">= 0", options.kappa);
  require_level("tango", options.level);
  if (n == 0) return {kNaN, kNaN, options.level};
  const double z = normal_quantile(0.5 * (1 + options.level));
  return {tango_lower(counts, z, options.kappa), -tango_lower({better, worse, n}, z, options.kappa), options.level};
}

}  // namespace fairopt::stats
