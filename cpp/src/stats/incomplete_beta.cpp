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

/// I_x(a, b) = x^a y^b / (B(a, b) f). Even part of DLMF 8.17.22, by Lentz's method: it needs x only through
/// a y - b x, so that nothing cancels where x is close to 1. Converges in O(sqrt(max(a, b))) steps while x is below
/// (a + 1) / (a + b + 2).
double continued_fraction(double a, double b, double x, double y) {
  const double lambda = a * y - b * x;
  double f = a * (lambda + 1) / (a + 1);
  double c = f;
  double d = 0;
  for (double m = 1; m < 1e7; ++m) {
    const double w = m * (b - m) * x / (a + 2 * m - 1);
    const double numerator = (a + m - 1) * (a + b + m - 1) / (a + 2 * m - 1) * w * x;
    const double denominator = m + w + (a + m) * (lambda + 1 + m * (1 + y)) / (a + 2 * m + 1);
    d = 1 / (denominator + numerator * d);
    c = denominator + numerator / c;
    f *= c * d;
    if (std::abs(c * d - 1) < 1e-16) break;
  }
  return f;
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
  if (x > (a + 1) / (a + b + 2)) return 1 - beta_power(b, a, y, x) / continued_fraction(b, a, y, x);
  return beta_power(a, b, x, y) / continued_fraction(a, b, x, y);
}

}  // namespace fairopt::stats
