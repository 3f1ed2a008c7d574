// Reference values: SciPy 1.17 (the Python tests compare many more).
#include <cmath>
#include <limits>

#include "catch.h"
#include "fairopt/distributions.h"

using namespace fairopt::stats;

namespace {
// The functions promise 1e-12; a few ulp are lost to the printed digits.
void require_close(double got, double want) { REQUIRE(got == Approx(want).epsilon(1e-12)); }
}  // namespace

TEST_CASE("the normal distribution keeps its digits far out", "[stats]") {
  require_close(normal_cdf(-1.6448536269514729), 0.05);
  require_close(normal_sf(10), 7.61985302416047e-24);
  require_close(normal_quantile(0.95), 1.6448536269514722);
  require_close(normal_quantile(1e-300), -37.0470962993612);
  REQUIRE(normal_quantile(0.5) == 0);
  REQUIRE(normal_quantile(0) == -std::numeric_limits<double>::infinity());
  REQUIRE(std::isnan(normal_quantile(1.5)));
}

TEST_CASE("Student's t takes fractional and infinite degrees of freedom", "[stats]") {
  require_close(student_t_quantile(0.975, 1.9230769230769231), 4.471862801675107);
  require_close(student_t_quantile(0.95, 12.4), 1.777509375042142);
  require_close(student_t_sf(3.70076373, 7), 0.0038236453028837156);
  REQUIRE(student_t_quantile(0.95, std::numeric_limits<double>::infinity()) == normal_quantile(0.95));
  REQUIRE(student_t_cdf(0, 3) == 0.5);
  REQUIRE(std::isnan(student_t_sf(1, 0)));
}

TEST_CASE("binomial tails at the edges of their support", "[stats]") {
  require_close(binomial_cdf(5, 20, 0.5), 0.020694732666015625);
  require_close(binomial_sf(14, 20, 0.5), 0.020694732666015625);
  require_close(binomial_pmf(0, 10, 0.25), std::pow(0.75, 10));
  REQUIRE(binomial_cdf(-1, 10, 0.5) == 0);
  REQUIRE(binomial_cdf(10, 10, 0.5) == 1);
  REQUIRE(binomial_pmf(0, 10, 0) == 1);
  REQUIRE(binomial_pmf(10, 10, 1) == 1);
}
