// hadamard_transform: the matrices, every ISA level against the plain product, the inverse, threads, refusals.
#include "catch.h"
#include "fairopt/hadamard_transform.h"
#include "kernels/hadamard_matrix.h"
#include "kernels/reference_hadamard_transform.h"
#include "kernels/reference_quantize.h"
#include "levels.h"
#include "matrices.h"
#include "pieces.h"

using namespace fairopt;

namespace {

std::vector<float> transformed(const std::vector<float>& x, std::int64_t rows, bool transpose = false,
                               Executor& executor = default_executor()) {
  std::vector<float> y(x.size(), -1.0f);
  hadamard_transform(x.data(), DType::kFloat32, rows, static_cast<std::int64_t>(x.size()) / rows, transpose, y.data(),
                     executor);
  return y;
}

}  // namespace

TEST_CASE("hadamard_transform: how a size is taken apart", "[hadamard_transform]") {
  const std::int64_t expected[][4] = {{1, 1, 1, 1},         {128, 1, 1, 128},     {12, 1, 12, 1},     {384, 1, 12, 32},
                                      {14336, 1, 28, 512},  {18944, 1, 148, 128}, {8960, 1, 140, 64}, {4864, 1, 76, 64},
                                      {13824, 1, 108, 128}, {11008, 43, 1, 256},  {7, 7, 1, 1},       {6, 3, 1, 2}};
  for (const auto& [n, blocks, order, power] : expected) {
    const HadamardShape shape = hadamard_shape(n);
    CAPTURE(n, shape.blocks, shape.order, shape.power);
    REQUIRE((shape.blocks == blocks && shape.order == order && shape.power == power));
  }
}

TEST_CASE("hadamard_transform: rows of every matrix that is used are orthogonal", "[hadamard_transform]") {
  int found = 0;
  for (std::int64_t order = 4; order <= kernels::kMaxHadamardOrder; ++order) {
    if (!kernels::has_paley_matrix(order)) continue;
    ++found;
    const std::vector<std::int8_t>& h = kernels::paley_matrix(order);
    std::int64_t wrong = 0;
    for (std::int64_t i = 0; i < order; ++i) {
      for (std::int64_t j = 0; j <= i; ++j) {
        int product = 0;
        for (std::int64_t k = 0; k < order; ++k) {
          const int a = h[static_cast<std::size_t>(i * order + k)], b = h[static_cast<std::size_t>(j * order + k)];
          wrong += a * a != 1;
          product += a * b;
        }
        wrong += product != (i == j ? order : 0);
      }
    }
    CAPTURE(order);
    REQUIRE(wrong == 0);
  }
  REQUIRE(found > 30);
}

TEST_CASE("hadamard_transform: every level agrees with the plain product", "[hadamard_transform]") {
  for (const std::int64_t n : {1, 2, 4, 8, 16, 32, 256, 12, 24, 20, 28, 48, 384, 76, 7, 6, 80}) {
    const HadamardShape shape = hadamard_shape(n);
    const std::int64_t size = shape.order * shape.power;
    const std::int8_t one = 1;
    const kernels::HadamardTransform args{shape.order == 1 ? &one : kernels::paley_matrix(shape.order).data(),
                                          shape.order, shape.power, false,
                                          static_cast<float>(1.0 / std::sqrt(static_cast<double>(size)))};
    const std::vector<float> x = weights(n, static_cast<std::uint64_t>(n));
    const std::vector<double> exact = kernels::reference::hadamard_transform(x, false);
    const std::vector<float> y = transformed(x, 1);
    for (std::int64_t i = 0; i < n; ++i) {
      // A sum of `order` terms, then log2(power) levels of a tree, then the scale and its own rounding.
      double magnitude = 0.0, depth = static_cast<double>(shape.order) + 2.0;
      for (std::int64_t power = shape.power; power > 1; power /= 2) depth += 1.0;
      const std::int64_t first = i / size * size;
      for (std::int64_t j = first; j < first + size; ++j) magnitude += std::fabs(x[static_cast<std::size_t>(j)]);
      const double bound = depth * 0x1p-24 / (1.0 - depth * 0x1p-24) * magnitude / std::sqrt(static_cast<double>(size));
      CAPTURE(n, i);
      REQUIRE(std::fabs(y[static_cast<std::size_t>(i)] - exact[static_cast<std::size_t>(i)]) <= bound);
    }
    for (const kernels::KernelTable* level : runnable_levels()) {
      std::vector<float> own(static_cast<std::size_t>(n));
      for (std::int64_t i = 0; i < n; i += size) level->hadamard_transform(args, x.data() + i, own.data() + i);
      CAPTURE(level->name, n);
      REQUIRE(own == y);
    }
  }
}

TEST_CASE("hadamard_transform: the transpose is the inverse, in place and split among threads",
          "[hadamard_transform]") {
  for (const std::int64_t cols : {64, 384, 88}) {
    const std::int64_t rows = 9;
    const std::vector<float> x = weights(rows * cols, 3);
    std::vector<float> y = transformed(x, rows);
    for (const std::int64_t piece : {1, 4, 100}) {
      Pieces executor(piece);
      REQUIRE(transformed(x, rows, false, executor) == y);
    }
    hadamard_transform(y.data(), DType::kFloat32, rows, cols, true, y.data());
    // Two passes of relative error gamma in the 2-norm of a row of standard size: 40 operations deep at most.
    for (std::size_t i = 0; i < x.size(); ++i) {
      REQUIRE(std::fabs(y[i] - x[i]) <= 2 * 40 * 0x1p-24f * std::sqrt(static_cast<float>(cols)));
    }
  }
}

TEST_CASE("hadamard_transform: 16-bit values are rounded once", "[hadamard_transform]") {
  const std::int64_t n = 4096 * 3;  // more than a run
  std::vector<std::uint16_t> x, y(static_cast<std::size_t>(n));
  std::vector<float> wide;
  for (const float value : weights(n, 8)) {
    x.push_back(kernels::reference::to_bf16(value));
    wide.push_back(kernels::reference::from_bf16(x.back()));
  }
  hadamard_transform(x.data(), DType::kBFloat16, 1, n, false, y.data());
  std::vector<std::uint16_t> expected;
  for (const float value : transformed(wide, 1)) expected.push_back(kernels::reference::to_bf16(value));
  REQUIRE(y == expected);
}

TEST_CASE("hadamard_transform: bad arguments are refused by name", "[hadamard_transform]") {
  using Catch::Matchers::ContainsSubstring;
  float x[1] = {};
  REQUIRE_THROWS_WITH(hadamard_transform(x, DType::kFloat32, 1, 0, false, x),
                      ContainsSubstring("hadamard_transform: x must be of at least one column, got 0"));
  REQUIRE_THROWS_WITH(hadamard_transform(x, DType::kFloat32, -1, 1, false, x),
                      ContainsSubstring("rows must be non-negative, got -1"));
  REQUIRE_THROWS_WITH(hadamard_transform(nullptr, DType::kFloat32, 1, 1, false, x),
                      ContainsSubstring("x and y must not be null"));
}
