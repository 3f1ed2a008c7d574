// The incomplete beta function with both x and y = 1 - x given: neither tail loses digits to 1 - x.
#pragma once

namespace fairopt::stats {

/// x^a y^b / B(a, b).
double beta_power(double a, double b, double x, double y);
/// I_x(a, b).
double beta_lower(double a, double b, double x, double y);

}  // namespace fairopt::stats
