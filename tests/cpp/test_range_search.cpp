// range_search: its kernels on every ISA level against their twins, the search against trying all, refusals.
#include "all_formats.h"
#include "catch.h"
#include "fairopt/range_search.h"
#include "kernels/reference_quantize.h"
#include "levels.h"
#include "matrices.h"
#include "pieces.h"

using namespace fairopt;

namespace {

using kernels::BlockRun;

/// The parts of a matrix.
struct Solved {
  Quantized parts;
  QuantizedLayout layout;

  Solved(Format format, std::int64_t rows, std::int64_t cols, std::int64_t block)
      : parts(format, {rows * cols, block}), layout{format, rows, cols, block} {
    const auto blocks = static_cast<std::size_t>(rows * layout.blocks_per_row());
    parts.codes.assign(static_cast<std::size_t>(rows * layout.bytes_per_row()), 0xcc);
    parts.scales.assign(blocks, -1.0f);
    if (!parts.zeros.empty()) parts.zeros.assign(blocks, 0xcc);
    if (!parts.float_zeros.empty()) parts.float_zeros.assign(blocks, -1.0f);
  }
  QuantizedBuffers buffers() {
    return {parts.codes.data(), parts.scales.data(), parts.zeros.data(), parts.float_zeros.data()};
  }
};

bool same(const Quantized& a, const Quantized& b) {
  return a.codes == b.codes && a.scales == b.scales && a.zeros == b.zeros && a.float_zeros == b.float_zeros;
}

double loss(const std::vector<float>& values, Format format, const Quantized& parts, double norm) {
  const auto n = static_cast<std::int64_t>(values.size());
  std::vector<float> rounded(values.size());
  kernels::reference::dequantize(format, parts.parts(), {n, (n + 15) / 16 * 16}, rounded.data());
  double total = 0.0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    total += std::pow(std::fabs(static_cast<double>(values[i]) - static_cast<double>(rounded[i])), norm);
  }
  return total;
}

}  // namespace

TEST_CASE("range_search: codes in a given range equal the twin's on every level", "[range_search]") {
  for (const Format format : kAllFormats) {
    for (const std::int64_t n : {1, 15, 16, 33, 80}) {
      const std::vector<float> x = weights(n, static_cast<std::uint64_t>(n));
      const BlockRun run{n, 32};
      for (const float share : {1.0f, 0.7f, 0.01f}) {
        std::vector<float> lows, highs;
        for (std::int64_t i = 0; i < n; i += 32) {
          const auto [low, high] = std::minmax_element(x.begin() + i, x.begin() + std::min(n, i + 32));
          lows.push_back(share * *low);
          highs.push_back(share * *high);
        }
        Quantized expected(format, run), whole(format, run);
        kernels::reference::quantize_in_range(format, x.data(), run, lows.data(), highs.data(), expected.parts());
        kernels::reference::quantize(format, x.data(), run, whole.parts());
        if (share == 1.0f) REQUIRE(same(expected, whole));
        for (const kernels::KernelTable* level : runnable_levels()) {
          Quantized got(format, run);
          level->quantize_in_range[static_cast<int>(format)](x.data(), run, lows.data(), highs.data(), got.parts());
          CAPTURE(level->name, name(format), n, share);
          REQUIRE(same(got, expected));
        }
      }
    }
  }
}

TEST_CASE("range_search: sums of powers are near those of std::pow and the same bits on every level",
          "[range_search]") {
  for (const std::int64_t n : {1, 16, 17, 1000}) {
    const std::vector<float> a = weights(n, 1), b = weights(n, 2);
    for (const float exponent : {0.5f, 0.7f, 2.0f, 2.4f, 8.0f}) {
      double exact = 0.0;
      for (std::size_t i = 0; i < a.size(); ++i) {
        exact += std::pow(std::fabs(static_cast<double>(a[i]) - static_cast<double>(b[i])) * 3.0,
                          static_cast<double>(exponent));
      }
      const float expected = runnable_levels()[0]->sum_of_powers(a.data(), b.data(), n, 3.0f, exponent);
      // 2^-18 a power and u for each of the n / 16 + 4 additions that a term goes through.
      REQUIRE(std::fabs(expected - exact) <= exact * (0x1p-18 + static_cast<double>(n / 16 + 6) * 0x1p-24));
      for (const kernels::KernelTable* level : runnable_levels()) {
        CAPTURE(level->name, n, exponent);
        REQUIRE(level->sum_of_powers(a.data(), b.data(), n, 3.0f, exponent) == expected);
      }
    }
  }
}

TEST_CASE("range_search: stopping early changes no choice, on any level", "[range_search]") {
  constexpr float kMargin = 0x1p-14f;
  for (const Format format : kAllFormats) {
    for (const std::int64_t n : {1, 16, 40, 300}) {
      for (const int shape : {0, 1, 2}) {  // as drawn, with an outlier, above zero
        std::vector<float> x = weights(n, static_cast<std::uint64_t>(n) + 20);
        if (shape == 1) x[0] *= 20.0f;
        if (shape == 2) std::transform(x.begin(), x.end(), x.begin(), [](float v) { return std::fabs(v) + 0.5f; });
        const auto [low, high] = std::minmax_element(x.begin(), x.end());
        for (const float exponent : {0.7f, 2.4f, 8.0f}) {
          for (const kernels::KernelTable* level : runnable_levels()) {
            std::vector<float> rounded(x.size());
            float best = 1.0f, least = 0.0f, unit = 1.0f;
            for (int i = 0; i < 100; ++i) {
              const float share = 1.0f - 0.01f * static_cast<float>(i), from = share * *low, to = share * *high;
              Quantized tried(format, {n, 512});
              const auto at = static_cast<std::size_t>(format);
              level->quantize_in_range[at](x.data(), {n, 512}, &from, &to, tried.parts());
              if (i == 0 && tried.scales[0] == 0.0f) break;
              if (i == 0) unit = 1.0f / std::fabs(tried.scales[0]);
              level->dequantize[at](
                  {tried.codes.data(), tried.scales.data(), tried.zeros.data(), tried.float_zeros.data()}, {n, 512},
                  rounded.data());
              const float sum = level->sum_of_powers(x.data(), rounded.data(), n, unit, exponent);
              if (i > 0 && !(sum < least)) continue;
              best = share;
              least = i == 0 ? sum * (1.0f - kMargin) : sum;
            }
            CAPTURE(level->name, name(format), n, shape, exponent);
            REQUIRE(level->best_share[static_cast<int>(format)](x.data(), n, *low, *high, {100, exponent}) == best);
          }
        }
      }
    }
  }
}

TEST_CASE("range_search: finds the best range of a block and never loses to rounding to nearest", "[range_search]") {
  for (const Format format : kAllFormats) {
    for (const std::int64_t n : {7, 64, 150}) {
      const std::vector<float> x = weights(n, static_cast<std::uint64_t>(n) + 9);
      const std::int64_t block = (n + 15) / 16 * 16;
      const auto [low, high] = std::minmax_element(x.begin(), x.end());
      Solved solved(format, 1, n, block);
      range_search(x.data(), solved.layout, {}, solved.buffers());
      const double got = loss(x, format, solved.parts, 2.4);
      double least = INFINITY, nearest = 0.0;
      bool found = false;
      for (int i = 0; i < 80; ++i) {
        const float share = 1.0f - 0.01f * static_cast<float>(i), from = share * *low, to = share * *high;
        Quantized tried(format, {n, block});
        kernels::reference::quantize_in_range(format, x.data(), {n, block}, &from, &to, tried.parts());
        const double here = loss(x, format, tried, 2.4);
        if (i == 0) nearest = here;
        least = std::min(least, here);
        found = found || same(tried, solved.parts);
      }
      CAPTURE(name(format), n, got, least, nearest);
      REQUIRE(found);
      REQUIRE(got <= nearest);
      REQUIRE(got <= least * (1.0 + 0x1p-13));  // the margin, and the error of two sums
    }
  }
}

TEST_CASE("range_search: rows and blocks do not depend on their neighbours or the threads", "[range_search]") {
  const std::int64_t rows = 5, cols = 72;
  const std::vector<float> x = weights(rows * cols, 4);
  for (const Format format : {Format::kInt3Asym, Format::kNf4, Format::kInt4AsymFloat}) {
    Solved whole(format, rows, cols, 32);
    range_search(x.data(), whole.layout, {}, whole.buffers());
    for (const std::int64_t piece : {1, 4, 100}) {
      Pieces executor(piece);
      Solved split(format, rows, cols, 32);
      range_search(x.data(), split.layout, {}, split.buffers(), executor);
      REQUIRE(same(split.parts, whole.parts));
    }
    Solved row(format, 1, cols, 32);
    range_search(x.data() + 3 * cols, row.layout, {}, row.buffers());
    REQUIRE(std::equal(row.parts.codes.begin(), row.parts.codes.end(),
                       whole.parts.codes.begin() + 3 * whole.layout.bytes_per_row()));
  }
}

TEST_CASE("range_search: a grid of one, zeros and constants are rounded to nearest", "[range_search]") {
  const std::vector<float> some = weights(32, 6), zeros(32, 0.0f), constant(32, 0.37f);
  for (const Format format : kAllFormats) {
    for (const std::vector<float>* x : {&some, &zeros, &constant}) {
      Solved solved(format, 1, 32, 32);
      range_search(x->data(), solved.layout, {.grid = x == &some ? 1 : 80}, solved.buffers());
      Quantized nearest(format, {32, 32});
      kernels::reference::quantize(format, x->data(), {32, 32}, nearest.parts());
      CAPTURE(name(format));
      REQUIRE((x == &constant ? loss(*x, format, solved.parts, 2.4) <= loss(*x, format, nearest, 2.4)
                              : same(solved.parts, nearest)));
    }
  }
}

TEST_CASE("range_search: bad arguments are refused by name", "[range_search]") {
  using Catch::Matchers::ContainsSubstring;
  const std::vector<float> x(32, 1.0f);
  Solved out(Format::kNf4, 1, 32, 32);
  REQUIRE_THROWS_WITH(range_search(x.data(), out.layout, {.grid = 0}, out.buffers()),
                      ContainsSubstring("range_search: grid must be in [1, 100], got 0"));
  REQUIRE_THROWS_WITH(range_search(x.data(), out.layout, {.norm = 0.0}, out.buffers()),
                      ContainsSubstring("range_search: norm must be in [0.5, 8], got 0"));
  REQUIRE_THROWS_WITH(range_search(nullptr, out.layout, {}, out.buffers()),
                      ContainsSubstring("weight must not be null"));
  REQUIRE_THROWS_WITH(range_search(x.data(), out.layout, {}, {}), ContainsSubstring("must not be null"));
}
