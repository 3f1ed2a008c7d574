// hqq: one iteration on every ISA level against plain double, the gain over rounding to nearest, threads, refusals.
#include "all_formats.h"
#include "catch.h"
#include "fairopt/hqq.h"
#include "kernels/reference_quantize.h"
#include "levels.h"
#include "matrices.h"
#include "pieces.h"

using namespace fairopt;

namespace {

struct Sums {
  double error = 0.0, loss = 0.0, zero = 0.0;
};

/// The definition (docs/recipes.md) with fp32 codes and float64 sums.
Sums plain_step(const kernels::HqqBlock& block, const std::vector<float>& x) {
  Sums sums;
  for (const float w : x) {
    const float steps = w * block.inverse_scale;
    const double q = std::clamp(std::nearbyint(steps + block.zero), 0.0f, block.levels);
    const double d = w - (q - block.zero) / static_cast<double>(block.inverse_scale), magnitude = std::fabs(d);
    const double left =
        magnitude == 0.0 ? 0.0 : std::max(magnitude - std::pow(magnitude, block.norm - 1.0) * block.inverse_beta, 0.0);
    sums.error += magnitude;
    sums.loss += std::pow(magnitude, static_cast<double>(block.norm));
    sums.zero += q - (w - std::copysign(left, d)) * static_cast<double>(block.inverse_scale);
  }
  sums.zero /= static_cast<double>(x.size());
  return sums;
}

struct Result {
  Quantized parts;
  int iterations;
  bool operator==(const Result& other) const {
    return parts.codes == other.parts.codes && parts.scales == other.parts.scales &&
           parts.float_zeros == other.parts.float_zeros && iterations == other.iterations;
  }
};

Result solved(const std::vector<float>& x, const QuantizedLayout& layout, const HqqOptions& options = {},
              Executor& executor = default_executor()) {
  Result result{Quantized(layout.format, {layout.rows * layout.cols, layout.block}), 0};
  const auto blocks = static_cast<std::size_t>(layout.rows * layout.blocks_per_row());
  result.parts.codes.assign(static_cast<std::size_t>(layout.rows * layout.bytes_per_row()), 0xcc);
  result.parts.scales.assign(blocks, -1.0f);
  result.parts.float_zeros.assign(blocks, -1.0f);
  const QuantizedBuffers out{result.parts.codes.data(), result.parts.scales.data(), nullptr,
                             result.parts.float_zeros.data()};
  result.iterations = hqq(x.data(), layout, options, out, executor);
  return result;
}

double loss(const std::vector<float>& x, Format format, const Quantized& parts, std::int64_t block) {
  std::vector<float> rounded(x.size());
  kernels::reference::dequantize(format, parts.parts(), {static_cast<std::int64_t>(x.size()), block}, rounded.data());
  double total = 0.0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    total += std::pow(std::fabs(static_cast<double>(x[i]) - static_cast<double>(rounded[i])), 0.7);
  }
  return total;
}

}  // namespace

TEST_CASE("hqq: an iteration agrees with plain double and has the same bits on every level", "[hqq]") {
  for (const std::int64_t n : {1, 15, 16, 17, 64, 200}) {
    std::vector<float> x = weights(n, static_cast<std::uint64_t>(n));
    x[0] = 0.25f;  // exactly a code: d = 0
    const kernels::HqqBlock block{4.0f, 7.0f, 15.0f, 0.7f, 0.1f};
    const Sums exact = plain_step(block, x);
    const kernels::HqqSums first = runnable_levels()[0]->hqq_step(block, x.data(), n);
    // d loses at most u of values of order 8 steps, 2^-21 of them; powers are within 2^-18.
    const double each = 0x1p-18 + 0x1p-20 + static_cast<double>(n) / 16 * 0x1p-24;
    REQUIRE(std::fabs(first.error - exact.error) <= exact.error * each + static_cast<double>(n) * 0x1p-21);
    REQUIRE(std::fabs(first.loss - exact.loss) <= exact.loss * each + static_cast<double>(n) * 0x1p-11);
    REQUIRE(std::fabs(first.zero - exact.zero) <= 16 * each + 0x1p-16);
    for (const kernels::KernelTable* level : runnable_levels()) {
      const kernels::HqqSums sums = level->hqq_step(block, x.data(), n);
      CAPTURE(level->name, n);
      REQUIRE((sums.error == first.error && sums.loss == first.loss && sums.zero == first.zero));
    }
  }
}

TEST_CASE("hqq: every block is at least as good as rounding to nearest", "[hqq]") {
  for (const Format format : {Format::kInt2AsymFloat, Format::kInt3AsymFloat, Format::kInt4AsymFloat,
                              Format::kInt5AsymFloat, Format::kInt6AsymFloat, Format::kInt8AsymFloat}) {
    for (const std::int64_t n : {3, 64, 90}) {
      const std::int64_t block = (n + 15) / 16 * 16;
      const std::vector<float> x = weights(n, static_cast<std::uint64_t>(n) + 5);
      Quantized nearest(format, {n, block});
      kernels::reference::quantize(format, x.data(), {n, block}, nearest.parts());
      CAPTURE(name(format), n);
      REQUIRE(loss(x, format, solved(x, {format, 1, n, block}).parts, block) <= loss(x, format, nearest, block));
    }
    const std::vector<float> x = weights(6400, 1);
    Quantized nearest(format, {6400, 64});
    kernels::reference::quantize(format, x.data(), {6400, 64}, nearest.parts());
    REQUIRE(loss(x, format, solved(x, {format, 100, 64, 64}).parts, 64) < 0.99 * loss(x, format, nearest, 64));
  }
}

TEST_CASE("hqq: the same bits however the work is split", "[hqq]") {
  const QuantizedLayout layout{Format::kInt3AsymFloat, 7, 72, 32};
  const std::vector<float> x = weights(layout.rows * layout.cols, 2);
  for (const bool best : {true, false}) {
    const Result whole = solved(x, layout, {.best = best});
    for (const std::int64_t piece : {1, 4, 100}) {
      Pieces executor(piece);
      REQUIRE(solved(x, layout, {.best = best}, executor) == whole);
    }
  }
}

TEST_CASE("hqq: zeros and constants come back, iterations are limited", "[hqq]") {
  for (const float value : {0.0f, 0.37f, -2.0f}) {
    const std::vector<float> x(48, value);
    const Result result = solved(x, {Format::kInt4AsymFloat, 1, 48, 16});
    REQUIRE(loss(x, Format::kInt4AsymFloat, result.parts, 16) == 0.0);
  }
  REQUIRE(solved(weights(640, 3), {Format::kInt4AsymFloat, 10, 64, 64}, {.iterations = 4}).iterations <= 4);
}

TEST_CASE("hqq: bad arguments are refused by name", "[hqq]") {
  using Catch::Matchers::ContainsSubstring;
  const std::vector<float> x(32, 1.0f);
  const QuantizedLayout layout{Format::kInt4AsymFloat, 1, 32, 32};
  REQUIRE_THROWS_WITH(hqq(x.data(), {Format::kNf4, 1, 32, 32}, {}, {}),
                      ContainsSubstring("hqq: format must be one of int2_asym_float to int8_asym_float, got 'nf4'"));
  REQUIRE_THROWS_WITH(hqq(x.data(), {Format::kInt4Tinygemm, 1, 32, 32}, {}, {}),
                      ContainsSubstring("got 'int4_tinygemm'"));
  REQUIRE_THROWS_WITH(solved(x, layout, {.norm = 1.5}), ContainsSubstring("hqq: norm must be in (0, 1], got 1.5"));
  REQUIRE_THROWS_WITH(solved(x, layout, {.beta = 0.0}), ContainsSubstring("hqq: beta must be positive, got 0"));
  REQUIRE_THROWS_WITH(solved(x, layout, {.kappa = 0.5}), ContainsSubstring("hqq: kappa must be at least 1, got 0.5"));
  REQUIRE_THROWS_WITH(solved(x, layout, {.iterations = 0}),
                      ContainsSubstring("hqq: iterations must be in [1, 1000], got 0"));
  REQUIRE_THROWS_WITH(hqq(nullptr, layout, {}, {}), ContainsSubstring("weight must not be null"));
}
