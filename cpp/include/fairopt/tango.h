// Tango's score interval for the paired difference of two proportions.
#pragma once
#include "fairopt/interval.h"

namespace fairopt::stats {

/// What two models did on the same n items. Counts may be fractions: dividing all three by a design effect is how
/// clusters enter.
struct FlipCounts {
  double worse = 0;   ///< b: items that the compressed model alone gets wrong
  double better = 0;  ///< c: items that the base model alone gets wrong
  double n = 0;       ///< all items, worse + better <= n
};

/// The maximum-likelihood share of worse items given that the true difference is `delta`, in (-1, 1).
/// Tango, T. (1998), Statistics in Medicine 17, 891-908, eq. 4.
double tango_share(const FlipCounts& counts, double delta);

/// Score statistic of "the true difference (better - worse) / n is `delta`"; positive when the data are better than
/// that. `kappa` items are taken off the numerator's size. 0 is Tango's own; with .35 the one-sided size is at
/// most 1.02 times nominal for n >= 10 by enumeration (1.8 times without), short of all items flipping.
double tango_score(const FlipCounts& counts, double delta, double kappa);

/// The `delta` at which tango_score falls to `z` > 0, seen from below: the lower bound of the difference.
/// The upper bound is the negative lower bound of the mirrored counts.
double tango_lower(const FlipCounts& counts, double z, double kappa);

struct TangoOptions {
  double kappa = 0;    ///< items, >= 0
  double level = 0.9;  ///< two-sided, in (0, 1)
};

/// The two-sided interval. No flips at all is information, not an error; n = 0 gives NaN.
/// Throws std::invalid_argument on impossible counts or options.
Interval tango(const FlipCounts& counts, const TangoOptions& options = {});

}  // namespace fairopt::stats
