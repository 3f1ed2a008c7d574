// The guard of the integer modes: which rows of x are computed in a finer arithmetic, and what that is worth.
#include <cmath>
#include <limits>

#include "catch.h"
#include "levels.h"
#include "packed_weights.h"

using namespace packed_weights;
using kernels::Spread;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// 128 values about N(0, 1), the last `outliers` of them `size`.
std::vector<float> block_with(int outliers, float size) {
  std::vector<float> x = weights(128, 3);
  for (float& value : x) value = std::fabs(value) > 0.1f ? 0.02f : value;  // without the outliers of weights()
  for (int i = 0; i < outliers; ++i) x[x.size() - 1 - static_cast<std::size_t>(i)] = 0.02f * size;
  return x;
}

void require_spread(const std::vector<float>& x, Spread want) {
  const auto n = static_cast<std::int64_t>(x.size());
  REQUIRE(kernels::reference::block_spread(x.data(), n) == want);
  for (const kernels::KernelTable* level : runnable_levels()) {
    CAPTURE(level->name);
    REQUIRE(level->activation_spread(x.data(), {n, 4096}) == want);
  }
}

}  // namespace

TEST_CASE("packed_linear: the guard's classes", "[packed_guard]") {
  require_spread(block_with(0, 0.0f), Spread::kNarrow);
  require_spread(block_with(1, 20.0f), Spread::kNarrow);
  require_spread(block_with(1, 1000.0f), Spread::kWide);
  require_spread(block_with(16, 1000.0f), Spread::kWide);    // one in eight stands out
  require_spread(block_with(17, 1000.0f), Spread::kNarrow);  // more are no outliers
  require_spread(block_with(1, 1e5f), Spread::kExtreme);
  require_spread({1.0f}, Spread::kNarrow);
  require_spread({1.0f, 0.0f, 0.0f}, Spread::kNarrow);  // zeros are exact in every mode
  require_spread({1.0f, 0.015f}, Spread::kWide);
  require_spread({1.0f, 0.015625f}, Spread::kWide);  // not above amax / 64
  require_spread({1.0f, 0.016f}, Spread::kNarrow);
  require_spread({-1.0f, 1e-30f}, Spread::kExtreme);
  require_spread({0.0f, -0.0f}, Spread::kNarrow);
  require_spread({1e-30f, 1e-30f}, Spread::kExtreme);  // L / amax might overflow
  require_spread({kInfinity, 1.0f}, Spread::kExtreme);
  require_spread({1.0f, std::numeric_limits<float>::quiet_NaN()}, Spread::kExtreme);
  require_spread({3e38f, 3e38f}, Spread::kNarrow);
}

TEST_CASE("packed_linear: every level decides like the twin", "[packed_guard]") {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    std::vector<float> x = seed % 3 == 0 ? any_finite(1 + static_cast<std::int64_t>(seed % 70), seed)
                                         : weights(1 + static_cast<std::int64_t>(seed), seed);
    if (seed % 3 == 1) {
      for (std::size_t i = 0; i < x.size(); i += 9) x[i] *= static_cast<float>(1 << (seed % 16));
    }
    require_spread(x, kernels::reference::block_spread(x.data(), static_cast<std::int64_t>(x.size())));
  }
}

TEST_CASE("packed_linear: outliers that meet zero weights do not drown the rest", "[packed_guard]") {
  // One outlier a block whose weights are all zero: y comes from the other values alone. In 16 bits their rounding to
  // outlier / 32512 would show (1000 x: about 7e-3); the guard moves to 24 bits or to fp32.
  const std::int64_t k = 4096, n = 64, block = 128;
  for (const Format format : {Format::kInt4Sym, Format::kNf4}) {
    Weight weight({format, n, k, block});
    const int zero_code = format == Format::kNf4 ? 7 : 8;
    for (std::int64_t row = 0; row < n; ++row) {
      for (std::int64_t b = 0; b < k / block; ++b) {
        std::uint8_t& pair = weight.codes[static_cast<std::size_t>(row * k / 2 + b * block / 2)];
        pair = static_cast<std::uint8_t>(zero_code << 4 | (pair & 15));
      }
    }
    weight.pack_again();
    for (const float outlier : {1.0f, 20.0f, 1000.0f, 1e5f, 1e9f}) {
      std::vector<float> x = weights(k, 41);
      for (float& value : x) value = std::fabs(value) > 0.1f ? 0.02f : value;
      for (std::int64_t b = 0; b < k; b += block) x[static_cast<std::size_t>(b)] = 0.02f * outlier;
      std::vector<float> exact = weight.times(x, 1, MatmulMode::kExact);
      double norm = 0.0;
      for (const float y : exact) norm += static_cast<double>(y) * y;
      for (const MatmulMode mode : matmul_modes(format)) {
        const std::vector<float> y = weight.times(x, 1, mode);
        double error = 0.0;
        for (std::size_t i = 0; i < y.size(); ++i) error += std::pow(static_cast<double>(y[i]) - exact[i], 2);
        CAPTURE(name(format), name(mode), outlier, std::sqrt(error / norm));
        // a8 is not promoted before 4096: rounding to 1000 / 127 leaves nothing. In the others a value is rounded by at
        // most 64 / (2 * 32512) of the typical size (16 bits, narrow) or 4096 / 2^24 (24 bits): below 1e-3 of |y|.
        if (mode == MatmulMode::kA8) continue;
        REQUIRE(std::sqrt(error / norm) < 1e-3);
      }
      if (outlier == 1000.0f && format == Format::kInt4Sym) {
        REQUIRE(same_bits(weight.times(x, 1, MatmulMode::kA16), weight.times(x, 1, MatmulMode::kA24)));
      }
      if (outlier == 1000.0f && format == Format::kNf4) REQUIRE(same_bits(weight.times(x, 1, MatmulMode::kI16), exact));
      if (outlier > 4096.0f) {
        for (const MatmulMode mode : matmul_modes(format)) REQUIRE(same_bits(weight.times(x, 1, mode), exact));
      }
    }
  }
}

TEST_CASE("packed_linear: a row that is not finite spoils its own outputs only", "[packed_guard]") {
  for (const Format format : kPackedFormats) {
    const Weight weight({format, 65, 129, 64});
    for (const MatmulMode mode : matmul_modes(format)) {
      for (const std::int64_t m : {2, 20}) {
        std::vector<float> x = weights(m * 129, 17);
        const std::vector<float> y = weight.times(x, m, mode);
        x[0] = std::numeric_limits<float>::quiet_NaN();
        const std::vector<float> spoilt = weight.times(x, m, mode);
        for (std::size_t row = 0; row < 65; ++row) REQUIRE(std::isnan(spoilt[row]));
        REQUIRE(same_bits({spoilt.begin() + 65, spoilt.end()}, {y.begin() + 65, y.end()}));
      }
    }
  }
}

TEST_CASE("packed_linear: blocks too long for exact sums in int32 are computed in fp32", "[packed_guard]") {
  const std::int64_t k = kernels::kLargestPlaneBlock;
  for (const std::int64_t cols : {k, k + 16}) {
    const Weight weight({Format::kInt8, 2, cols, std::int64_t{1} << 20});
    const std::vector<float> x(static_cast<std::size_t>(cols), 1.0f);
    const PackedLinearArgs args = weight.args(x, 1, MatmulMode::kA24);
    REQUIRE(same_bits(weight.times(args), twin(weight, args)));
    if (cols > k) REQUIRE(same_bits(weight.times(args), weight.times(x, 1, MatmulMode::kExact)));
  }
}
