#include "fairopt/power.h"

#include <cmath>

#include "fairopt/distributions.h"
#include "fairopt/tango.h"
#include "stats/check.h"

namespace fairopt::stats {
namespace {

constexpr double kLargestMargin = 0.95;

struct Quantiles {
  double alpha;
  double power;
};

Quantiles quantiles(const char* op, const PowerOptions& options) {
  require_alpha(op, options.alpha);
  require(options.power > 0.5 && options.power < 1, op, "power", "in (0.5, 1)", options.power);
  require(options.gates >= 1, op, "gates", ">= 1", options.gates);
  require(options.design_effect >= 1, op, "design_effect", ">= 1", options.design_effect);
  require(options.kappa >= 0, op, "kappa", ">= 0", options.kappa);
  const double each = std::pow(options.power, 1 / static_cast<double>(options.gates));
  return {normal_quantile(1 - options.alpha), normal_quantile(each)};
}

void check_sample(const char* op, double discordance, double n) {
  require(discordance >= 0 && discordance <= 1, op, "discordance", "in [0, 1]", discordance);
  require(std::isfinite(n) && n >= 0, op, "n", "finite and >= 0", n);
}

}  // namespace

double min_detectable(double discordance, double n, const PowerOptions& options) {
  check_sample("min_detectable", discordance, n);
  const Quantiles z = quantiles("min_detectable", options);
  const double items = n / options.design_effect;
  const FlipCounts no_change{0.5 * discordance * items, 0.5 * discordance * items, items};
  // The expected score statistic at -margin, minus what it has to reach with the wanted power.
  const auto surplus = [&](double margin) {
    const double null_variance = 2 * tango_share(no_change, -margin) - margin * (1 + margin);
    return margin * items - options.kappa - z.alpha * std::sqrt(items * null_variance) -
           z.power * std::sqrt(items * discordance);
  };
  if (!(surplus(kLargestMargin) > 0)) return kNaN;
  double low = 0;
  double high = kLargestMargin;
  for (;;) {
    const double margin = 0.5 * (low + high);
    if (margin <= low || margin >= high) return margin;
    (surplus(margin) > 0 ? high : low) = margin;
  }
}

double min_detectable_simple(double discordance, double n, const PowerOptions& options) {
  check_sample("min_detectable_simple", discordance, n);
  const auto [z_alpha, z_power] = quantiles("min_detectable_simple", options);
  return n == 0 ? kNaN : (z_alpha + z_power) * std::sqrt(options.design_effect * discordance / n);
}

double min_detectable_mean(double se, const PowerOptions& options) {
  require(!(se < 0), "min_detectable_mean", "se", ">= 0", se);
  const auto [z_alpha, z_power] = quantiles("min_detectable_mean", options);
  return (z_alpha + z_power) * se;
}

}  // namespace fairopt::stats
