// quantized_linear: within the derived bound of float64, its weights the bits of dequantize, its bits independent of
// batch, rows and threads. ctest runs the suite once a level, so the public door is tested on each of them.
#include <cstring>
#include <limits>

#include "all_formats.h"
#include "catch.h"
#include "fairopt/cpu_capability.h"
#include "fairopt/quantized_linear.h"
#include "kernels/reference_quantized_linear.h"
#include "matrices.h"
#include "pieces.h"

using namespace fairopt;

namespace {

/// A weight of random codes, scales (zero and negative ones too) and zero points, in buffers without a byte to spare.
struct Weight {
  QuantizedLayout layout;
  std::vector<std::uint8_t> codes, zeros;
  std::vector<float> scales, float_zeros, bias;

  explicit Weight(QuantizedLayout l) : layout(l) {
    std::mt19937_64 random(static_cast<std::uint64_t>(l.rows * 131 + l.cols * 7 + l.block));
    codes.resize(static_cast<std::size_t>(l.rows * l.bytes_per_row()));
    for (std::uint8_t& code : codes) code = static_cast<std::uint8_t>(random());
    for (std::uint8_t& code : codes) code -= l.format == Format::kFp8 && (code & 0x7f) == 0x7f;  // NaN
    scales = weights(l.rows * l.blocks_per_row(), random());
    bias = weights(l.rows, random());
    if (zero_point(l.format) == ZeroPoint::kInteger) zeros.resize(scales.size());
    for (std::uint8_t& zero : zeros) zero = static_cast<std::uint8_t>(random());
    if (zero_point(l.format) == ZeroPoint::kFloat) float_zeros = weights(l.rows * l.blocks_per_row(), random());
  }

  QuantizedLinearArgs args(const std::vector<float>& x, std::int64_t m, std::vector<float>& y) const {
    return {.x = x.data(),
            .m = m,
            .weight = {codes.data(), scales.data(), zeros.empty() ? nullptr : zeros.data(),
                       float_zeros.empty() ? nullptr : float_zeros.data()},
            .layout = layout,
            .bias = bias.data(),
            .y = y.data()};
  }
  std::vector<float> times(const std::vector<float>& x, std::int64_t m, Executor& executor = default_executor()) const {
    std::vector<float> y(static_cast<std::size_t>(m * layout.rows), std::numeric_limits<float>::quiet_NaN());
    quantized_linear(args(x, m, y), executor);
    return y;
  }
};

int lanes_of_level() {
  const std::string_view level = cpu_capability();
  return level == "baseline" ? 4 : level == "avx2" ? 8 : 16;
}

/// gamma_n = n u / (1 - n u), u = 2^-24 (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., 3.1) bounds
/// |y - exact| / sum |w||x| when no product meets more than n roundings. Here a product meets those of its lane's chain
/// (one an FMA: the units of k are dealt to the lanes in runs of at most 8, so a chain has at most k / lanes + 8 and
/// never more than k of them; terms of padding are exact), log2(lanes) of the tree, one of the bias, and on baseline
/// one of its own, for there a product is rounded before it is added. The float64 twin adds k + 1 roundings of 2^-53.
double error_bound(std::int64_t k) {
  const int lanes = lanes_of_level();
  const double chain = static_cast<double>(std::min(k, k / lanes + 8));
  const double n = chain + std::log2(lanes) + 1.0 + (lanes == 4 ? 1.0 : 0.0);
  return n * 0x1p-24 / (1.0 - n * 0x1p-24) + static_cast<double>(k + 1) * 0x1p-53;
}

/// The first m tokens of x, for each m of `counts` (ascending). The reference takes every token by itself, so that it
/// is asked once.
void require_close(const Weight& weight, const std::vector<std::int64_t>& counts, const std::vector<float>& x) {
  std::vector<float> none;
  const auto exact = kernels::reference::quantized_linear(weight.args(x, counts.back(), none));
  const double bound = error_bound(weight.layout.cols);
  for (const std::int64_t m : counts) {
    const std::vector<float> y = weight.times(x, m);
    std::size_t within = 0;
    for (std::size_t i = 0; i < y.size(); ++i) within += std::fabs(y[i] - exact.y[i]) <= bound * exact.magnitude[i];
    CAPTURE(name(weight.layout.format), m, weight.layout.rows, weight.layout.cols, weight.layout.block);
    REQUIRE(within == y.size());
  }
}

}  // namespace

TEST_CASE("quantized_linear: within the bound of float64 for ragged shapes", "[quantized_linear]") {
  for (const Format format : kAllFormats) {
    for (const std::int64_t block : {16, 48, 64, 128, 4096}) {
      for (const std::int64_t k : {1, 31, 33, 64, 127, 129, 500, 1025}) {
        for (const std::int64_t n : {1, 9, 63, 65}) {
          const Weight weight({format, n, k, block});
          require_close(weight, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, weights(9 * k, 3));
        }
      }
    }
  }
}

TEST_CASE("quantized_linear: within the bound of float64 for many tokens and long rows", "[quantized_linear]") {
  for (const Format format : kAllFormats) {
    const Weight weight({format, 65, 2500, 64});
    require_close(weight, {1, 64}, weights(64 * 2500, 5));
    require_close(Weight({format, 3, 130, 32}), {200}, weights(200 * 130, 7));
  }
}

TEST_CASE("quantized_linear: its weights are the values of dequantize bit for bit", "[quantized_linear]") {
  // A token that is 1 in one column and 0 elsewhere reads that column: every other term and the tree add exact zeros.
  for (const Format format : kAllFormats) {
    for (const std::int64_t block : {16, 48, 64, 128}) {
      const std::int64_t k = 137, n = 11;
      Weight weight({format, n, k, block});
      weight.bias.assign(weight.bias.size(), 0.0f);
      std::vector<float> identity(static_cast<std::size_t>(k * k));
      for (std::int64_t i = 0; i < k; ++i) identity[static_cast<std::size_t>(i * k + i)] = 1.0f;
      std::vector<float> y, expected(static_cast<std::size_t>(n * k));
      dequantize(weight.args(identity, 0, y).weight, weight.layout, expected.data(), DType::kFloat32);
      const std::vector<float> all = weight.times(identity, k);
      for (std::int64_t i = 0; i < k; ++i) {
        const std::vector<float> token(identity.begin() + i * k, identity.begin() + (i + 1) * k);
        const std::vector<float> one = weight.times(token, 1);
        for (std::int64_t row = 0; row < n; ++row) {
          const float value = expected[static_cast<std::size_t>(row * k + i)];
          CAPTURE(name(format), block, i, row);
          REQUIRE(all[static_cast<std::size_t>(i * n + row)] == value);
          REQUIRE(one[static_cast<std::size_t>(row)] == value);
        }
      }
    }
  }
}

TEST_CASE("quantized_linear: the bits of an output do not depend on the batch", "[quantized_linear]") {
  for (const Format format : kAllFormats) {
    for (const std::int64_t block : {32, 64, 128}) {
      const std::int64_t k = 2100, n = 43, most = 103;
      const Weight weight({format, n, k, block});
      const std::vector<float> x = weights(most * k, 11);
      std::vector<float> alone;
      for (std::int64_t token = 0; token < most; ++token) {
        const std::vector<float> y = weight.times({x.begin() + token * k, x.begin() + (token + 1) * k}, 1);
        alone.insert(alone.end(), y.begin(), y.end());
      }
      for (const std::int64_t m : {2, 3, 4, 5, 6, 7, 8, 9, 64, 103}) {
        const std::vector<float> y = weight.times(x, m);
        CAPTURE(name(format), block, m);
        REQUIRE(std::memcmp(y.data(), alone.data(), y.size() * sizeof(float)) == 0);
      }
    }
  }
}

TEST_CASE("quantized_linear: the bits of an output do not depend on its row or the threads", "[quantized_linear]") {
  for (const Format format : kAllFormats) {
    const std::int64_t k = 1100, n = 77;
    const Weight weight({format, n, k, 64});
    for (const std::int64_t m : {1, 2, 4, 7}) {
      const std::vector<float> x = weights(m * k, 13);
      const std::vector<float> y = weight.times(x, m);
      CAPTURE(name(format), m);
      for (const std::int64_t piece : {1, 2, 3, 100}) {
        Pieces executor(piece);
        REQUIRE(std::memcmp(weight.times(x, m, executor).data(), y.data(), y.size() * sizeof(float)) == 0);
      }
      for (const std::int64_t row : {0, 1, 5, 40, 76}) {
        const std::int64_t rows = std::min<std::int64_t>(n - row, 13);
        std::vector<float> some(static_cast<std::size_t>(m * rows));
        QuantizedLinearArgs args = weight.args(x, m, some);
        args.layout.rows = rows;
        args.weight.codes += row * weight.layout.bytes_per_row();
        args.weight.scales += row * weight.layout.blocks_per_row();
        if (args.weight.zeros != nullptr) args.weight.zeros += row * weight.layout.blocks_per_row();
        if (args.weight.float_zeros != nullptr) args.weight.float_zeros += row * weight.layout.blocks_per_row();
        args.bias += row;
        quantized_linear(args);
        for (std::int64_t token = 0; token < m; ++token) {
          REQUIRE(std::memcmp(some.data() + token * rows, y.data() + token * n + row,
                              static_cast<std::size_t>(rows) * sizeof(float)) == 0);
        }
      }
    }
  }
}

TEST_CASE("quantized_linear: a token that is not finite spoils its own outputs only", "[quantized_linear]") {
  const std::int64_t k = 129, n = 9;
  const Weight weight({Format::kNf4, n, k, 64});
  for (const std::int64_t m : {2, 8}) {
    std::vector<float> x = weights(m * k, 17);
    const std::vector<float> y = weight.times(x, m);
    x[static_cast<std::size_t>(k - 1)] = std::numeric_limits<float>::quiet_NaN();
    const std::vector<float> spoilt = weight.times(x, m);
    for (std::int64_t row = 0; row < n; ++row) REQUIRE(std::isnan(spoilt[static_cast<std::size_t>(row)]));
    REQUIRE(std::equal(spoilt.begin() + n, spoilt.end(), y.begin() + n));
  }
}

TEST_CASE("quantized_linear: empty operands", "[quantized_linear]") {
  const Weight no_columns({Format::kInt4Asym, 3, 0, 64}), no_rows({Format::kInt4Asym, 0, 5, 64});
  const std::vector<float> y = no_columns.times({}, 2);
  for (std::size_t i = 0; i < y.size(); ++i) REQUIRE(y[i] == no_columns.bias[i % 3]);
  std::vector<float> without_bias(3, -1.0f);
  QuantizedLinearArgs args = no_columns.args({}, 1, without_bias);
  args.bias = nullptr;
  quantized_linear(args);
  REQUIRE(without_bias == std::vector<float>(3, 0.0f));
  REQUIRE(no_rows.times(std::vector<float>(10), 2).empty());
  REQUIRE(Weight({Format::kNf4, 3, 5, 64}).times({}, 0).empty());
}

TEST_CASE("quantized_linear: bad arguments are refused by name before anything is written", "[quantized_linear]") {
  using Catch::Matchers::ContainsSubstring;
  const Weight weight({Format::kInt4Asym, 2, 32, 16});
  const std::vector<float> x(32, 1.0f);
  std::vector<float> y(2, -1.0f);
  const auto with = [&](auto change) {
    QuantizedLinearArgs args = weight.args(x, 1, y);
    change(args);
    quantized_linear(args);
  };
  REQUIRE_THROWS_WITH(
      with([](auto& a) { a.layout.block = 24; }),
      ContainsSubstring("quantized_linear: block must be a multiple of 16 in [16, 1073741824], got 24"));
  REQUIRE_THROWS_WITH(with([](auto& a) { a.m = -1; }), ContainsSubstring("m must be non-negative, got -1"));
  REQUIRE_THROWS_WITH(with([](auto& a) { a.x = nullptr; }), ContainsSubstring("x must not be null"));
  REQUIRE_THROWS_WITH(with([](auto& a) { a.y = nullptr; }), ContainsSubstring("y must not be null"));
  REQUIRE_THROWS_WITH(with([](auto& a) { a.weight.zeros = nullptr; }),
                      ContainsSubstring("weight.zeros must not be null for int4_asym"));
  REQUIRE_THROWS_WITH(with([](auto& a) { a.weight.scales = nullptr; }), ContainsSubstring("must not be null"));
  REQUIRE(y == std::vector<float>(2, -1.0f));
}
