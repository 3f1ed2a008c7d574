// dynamic_int8_linear: every ISA level against the plain twin, bit for bit.
#include <cmath>
#include <limits>

#include "catch.h"
#include "fairopt/dynamic_int8_linear.h"
#include "kernels/reference_dynamic_int8_linear.h"
#include "levels.h"
#include "matrices.h"

using namespace fairopt;

namespace {

constexpr float kNone = std::numeric_limits<float>::infinity();

struct Problem {
  std::int64_t m, n, k;
  std::vector<float> x, scales, bias;
  std::vector<std::int8_t> codes;

  Problem(std::int64_t rows, std::int64_t outputs, std::int64_t columns)
      : m(rows), n(outputs), k(columns), x(weights(m * k, 1)), scales(weights(n, 2)), bias(weights(n, 3)) {
    for (const float value : weights(n * k, 4)) {
      codes.push_back(static_cast<std::int8_t>(std::lround(std::fmin(std::fmax(value * 60, -127.0f), 127.0f))));
    }
    for (std::size_t i = 0; i < x.size(); i += 37) x[i] *= 20;  // outliers
  }

  DynamicInt8LinearArgs args(float threshold) const {
    return {.x = x.data(),
            .m = m,
            .n = n,
            .k = k,
            .codes = codes.data(),
            .scales = scales.data(),
            .bias = bias.data(),
            .threshold = threshold,
            .y = nullptr};
  }
};

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (std::isnan(a[i]) && std::isnan(b[i])) continue;  // a NaN's payload is nobody's business
    if (a[i] != b[i] || std::signbit(a[i]) != std::signbit(b[i])) return false;
  }
  return true;
}

std::vector<float> on_level(const kernels::KernelTable& level, const DynamicInt8LinearArgs& args) {
  const std::int64_t stride = (args.k + kernels::kInt8Step - 1) / kernels::kInt8Step * kernels::kInt8Step;
  std::vector<std::int8_t> codes(static_cast<std::size_t>(args.m * stride), 99);
  std::vector<float> scales(static_cast<std::size_t>(args.m)), y(static_cast<std::size_t>(args.m * args.n));
  std::vector<std::int32_t> sums(static_cast<std::size_t>(args.m));
  std::vector<std::vector<kernels::Int8Outlier>> own(static_cast<std::size_t>(args.m));
  std::vector<kernels::Int8Outliers> outliers;
  for (std::int64_t t = 0; t < args.m; ++t) {
    const auto at = static_cast<std::size_t>(t);
    const float* x = args.x + t * args.k;
    level.quantize_int8_token(x, args.k, args.threshold, codes.data() + t * stride, stride, &scales[at], &sums[at]);
    for (std::int64_t i = 0; i < args.k; ++i) {
      if (!(std::fabs(x[i]) < args.threshold)) own[at].push_back({i, x[i]});
    }
    outliers.push_back({own[at].data(), static_cast<std::int64_t>(own[at].size())});
  }
  const kernels::DynamicInt8Linear call{codes.data(), scales.data(), sums.data(), outliers.data(), args.m,    args.n,
                                        args.k,       stride,        args.codes,  args.scales,     args.bias, y.data()};
  level.dynamic_int8_linear(call, 0, args.n);
  return y;
}

}  // namespace

TEST_CASE("dynamic_int8_linear: every level gives the twin's bits", "[dynamic_int8_linear]") {
  const auto levels = runnable_levels();
  REQUIRE(levels.size() == cpu_capabilities().size());
  for (const std::int64_t k : {0, 1, 15, 16, 63, 64, 65, 200, 1024}) {
    for (const std::int64_t m : {1, 2, 3, 4, 5, 9}) {
      for (const std::int64_t n : {1, 3, 4, 5, 17}) {
        const Problem problem(m, n, k);
        for (const float threshold : {kNone, 0.5f, 0.05f}) {
          const DynamicInt8LinearArgs args = problem.args(threshold);
          const std::vector<float> expected = kernels::reference::dynamic_int8_linear(args);
          for (const auto* level : levels) {
            CAPTURE(k, m, n, threshold, level->name);
            const bool equal = same_bits(on_level(*level, args), expected);
            REQUIRE(equal);
          }
        }
      }
    }
  }
}

TEST_CASE("dynamic_int8_linear: the largest codes do not overflow", "[dynamic_int8_linear]") {
  const std::int64_t k = std::int64_t{1} << 17;
  Problem problem(1, 2, 64);
  problem.k = k;
  problem.x.assign(static_cast<std::size_t>(k), 1.0f);
  problem.codes.assign(static_cast<std::size_t>(2 * k), 127);
  std::fill(problem.codes.begin(), problem.codes.begin() + k, static_cast<std::int8_t>(-127));
  const DynamicInt8LinearArgs args = problem.args(kNone);
  const std::vector<float> expected = kernels::reference::dynamic_int8_linear(args);
  for (const auto* level : runnable_levels()) {
    CAPTURE(level->name);
    const bool equal = same_bits(on_level(*level, args), expected);
    REQUIRE(equal);
  }
}

TEST_CASE("dynamic_int8_linear: the same bits in every split of the work", "[dynamic_int8_linear]") {
  const Problem problem(300, 70, 96);
  DynamicInt8LinearArgs args = problem.args(0.5f);
  std::vector<float> y(static_cast<std::size_t>(300 * 70));
  args.y = y.data();
  dynamic_int8_linear(args);
  const bool equal = same_bits(y, kernels::reference::dynamic_int8_linear(args));
  REQUIRE(equal);
}

TEST_CASE("dynamic_int8_linear: tokens of zeros, of tiny values, and that are not finite", "[dynamic_int8_linear]") {
  Problem problem(5, 3, 33);
  std::fill_n(problem.x.begin(), 33, 0.0f);
  std::fill_n(problem.x.begin() + 33, 33, 1e-45f);  // its scale underflows
  problem.x[70] = std::numeric_limits<float>::quiet_NaN();
  problem.x[100] = -std::numeric_limits<float>::infinity();
  DynamicInt8LinearArgs args = problem.args(6.0f);
  std::vector<float> y(15);
  args.y = y.data();
  dynamic_int8_linear(args);
  const bool equal = same_bits(y, kernels::reference::dynamic_int8_linear(args));
  REQUIRE(equal);
  for (std::size_t i = 0; i < 6; ++i) REQUIRE(y[i] == problem.bias[i % 3]);
  for (std::size_t i = 6; i < 12; ++i) REQUIRE(std::isnan(y[i]));
  for (std::size_t i = 12; i < 15; ++i) REQUIRE(std::isfinite(y[i]));
  for (const auto* level : runnable_levels()) {
    CAPTURE(level->name);
    const bool level_equal = same_bits(on_level(*level, args), y);
    REQUIRE(level_equal);
  }
}

TEST_CASE("dynamic_int8_linear: refusals", "[dynamic_int8_linear]") {
  const Problem problem(1, 1, 16);
  DynamicInt8LinearArgs args = problem.args(kNone);
  REQUIRE_THROWS_WITH(dynamic_int8_linear(args), "dynamic_int8_linear: y and scales must not be null");
  args.threshold = 0;
  REQUIRE_THROWS_WITH(dynamic_int8_linear(args), "dynamic_int8_linear: threshold must be positive, got 0");
  args.k = (std::int64_t{1} << 17) + 1;
  REQUIRE_THROWS_WITH(dynamic_int8_linear(args), "dynamic_int8_linear: k must be in [0, 131072], got 131073");
  args.m = -1;
  REQUIRE_THROWS_WITH(dynamic_int8_linear(args), "dynamic_int8_linear: m must be non-negative, got -1");
}
