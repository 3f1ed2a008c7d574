// What margin could this sample have passed?
#pragma once
#include <cstdint>

namespace fairopt::stats {

struct PowerOptions {
  double alpha = 0.05;       ///< one-sided, in (0, .5)
  double power = 0.8;        ///< of all gates together, in (.5, 1)
  std::int64_t gates = 1;    ///< independent gates that must all pass
  double design_effect = 1;  ///< >= 1
  double kappa = 0.35;       ///< as in paired_binary
};

/// The smallest margin that a true no-change passes with the wanted power, n paired binary items of which a share
/// `discordance` flips. NaN when no margin below .95 does (or n = 0).
double min_detectable(double discordance, double n, const PowerOptions& options = {});

/// The textbook formula for the same, (z_alpha + z_power) sqrt(D rho / n): optimistic when flips are few.
double min_detectable_simple(double discordance, double n, const PowerOptions& options = {});

/// For means: (z_alpha + z_power) se.
double min_detectable_mean(double se, const PowerOptions& options = {});

}  // namespace fairopt::stats
