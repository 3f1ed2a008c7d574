#include "stats/incomplete_beta.h"

#include <cmath>
#include <limits>
#include <numbers>

namespace fairopt::stats {
namespace {

/// log Gamma(x + 1) - log(sqrt(2 pi x) (x / e)^x), Stirling's series from 16 on, recurrence below. lgamma would lose
/// all digits to cancellation once x is large.
double stirling_error(double x) {
  double below = 0;
  for (; x < 16; ++x) below += (x + 0.5) * std::log1p(1 / x) - 1;
  const double y = 1 / (x * x);
  const double series =
      (1.0 / 12 -
       y * (1.0 / 360 - y * (1.0 / 1260 - y * (1.0 / 1680 - y * (1.0 / 1188 - y * (691.0 / 360360 - y / 156)))))) /
      x;
  return below + series;
}

/// Binomial deviance x log(x / m) + m - x. Loader (2000), Fast and accurate computation of binomial probabilities.
double deviance(double x, double m) {
  if (std::abs(x - m) >= 0.1 * (x + m)) return x * std::log(x / m) + m - x;
  const double v = (x - m) / (x + m);
  double sum = (x - m) * v;
  double term = 2 * x * v;
  for (int j = 3; j < 2000; j += 2) {
    term *= v * v;
    const double next = sum + term / j;
    if (next == sum) break;
    sum = next;
  }
  return sum;
}

/// Continued fraction of I_x(a, b) without its leading power, by Lentz's method. Converges in O(sqrt(max(a, b))) steps
/// where x is below (a + 1) / (a + b + 2). DLMF 8.17.22.
double continued_fraction(double a, double b, double x) {
  constexpr double tiny = 1e-300;
  const auto away_from_zero = [](double v) { return std::abs(v) < tiny ? tiny : v; };
  double c = 1;
  double d = 1 / away_from_zero(1 - (a + b) * x / (a + 1));
  double h = d;
  const auto step = [&](double coefficient) {
    d = 1 / away_from_zero(1 + coefficient * d);
    c = away_from_zero(1 + coefficient / c);
    h *= c * d;
  };
  for (double m = 1; m < 1e7; ++m) {
    step(m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)));
    step(-(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)));
    if (std::abs(c * d - 1) < 1e-16) break;
  }
  return h;
}

}  // namespace

double beta_power(double a, double b, double x, double y) {
  const double n = a + b;
  const double log_density =
      stirling_error(n) - stirling_error(a) - stirling_error(b) - deviance(a, n * x) - deviance(b, n * y);
  return std::exp(log_density) * std::sqrt(a * b / (2 * std::numbers::pi * n));
}

double beta_lower(double a, double b, double x, double y) {
  if (std::isnan(x) || std::isnan(y)) return std::numeric_limits<double>::quiet_NaN();
  if (x <= 0) return 0;
  if (y <= 0) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - beta_power(b, a, y, x) / b * continued_fraction(b, a, y);
  return beta_power(a, b, x, y) / a * continued_fraction(a, b, x);
}

}  // namespace fairopt::stats
