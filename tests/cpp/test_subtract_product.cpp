// subtract_product: the same bits on every ISA level as term after term, whatever the shape and the strides.
#include "catch.h"
#include "levels.h"
#include "matrices.h"

using namespace fairopt;

TEST_CASE("subtract_product: every level subtracts term after term", "[subtract_product]") {
  constexpr std::int64_t kMost = 70, kPadded = kMost + 3;
  const std::vector<float> drawn = weights(3 * kPadded * kPadded, 1);
  std::vector<double> a(kPadded * kPadded), b(a.size()), c(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    a[i] = 1.0 / 3.0 * static_cast<double>(drawn[3 * i]);
    b[i] = 1.0 / 7.0 * static_cast<double>(drawn[3 * i + 1]);
    c[i] = static_cast<double>(drawn[3 * i + 2]);
  }
  for (const std::int64_t rows : {1, 7, 8, 33, 64, 70}) {
    for (const std::int64_t cols : {1, 3, 4, 9}) {
      for (const std::int64_t depth : {0, 1, 5, 64, 70}) {
        for (const bool transposed : {false, true}) {
          const std::int64_t b_row = transposed ? kPadded : 1, b_column = transposed ? 1 : kPadded;
          std::vector<double> expected = c;
          for (std::int64_t j = 0; j < cols; ++j) {
            for (std::int64_t i = 0; i < rows; ++i) {
              double& value = expected[static_cast<std::size_t>(i + j * kPadded)];
              for (std::int64_t k = 0; k < depth; ++k) {
                const double term = a[static_cast<std::size_t>(i + k * kPadded)] *
                                    b[static_cast<std::size_t>(k * b_row + j * b_column)];
                value -= term;
              }
            }
          }
          for (const kernels::KernelTable* level : runnable_levels()) {
            std::vector<double> got = c;
            level->subtract_product(
                {a.data(), kPadded, b.data(), b_row, b_column, got.data(), kPadded, rows, cols, depth});
            CAPTURE(level->name, rows, cols, depth, transposed);
            REQUIRE(got == expected);
          }
        }
      }
    }
  }
}
