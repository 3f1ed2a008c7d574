// packed_linear, mode `exact`: the twin's bits on either side of the switch from registers to the panel, whatever the
// batch, the place of a row and the threads. ctest runs the suite once a level.
#include <cmath>

#include "catch.h"
#include "packed_weights.h"
#include "pieces.h"

using namespace packed_weights;

namespace {

std::vector<float> rows(const std::vector<float>& matrix, std::int64_t first, std::int64_t count, std::int64_t cols) {
  return {matrix.begin() + first * cols, matrix.begin() + (first + count) * cols};
}

}  // namespace

TEST_CASE("packed_linear exact: the twin's bits for one to 20 tokens", "[packed_linear]") {
  for (const Format format : kPackedFormats) {
    for (const std::int64_t block : {32, 80, 128}) {
      for (const std::int64_t n : {70, 200}) {
        const std::int64_t k = 333, most = 20;
        const Weight weight({format, n, k, block});
        const std::vector<float> x = weights(most * k, 17);
        const std::vector<float> expected = twin(weight, weight.args(x, most, MatmulMode::kExact));
        for (std::int64_t m = 1; m <= most; ++m) {
          CAPTURE(name(format), block, n, m);
          REQUIRE(same_bits(weight.times(x, m, MatmulMode::kExact), rows(expected, 0, m, n)));
        }
      }
    }
  }
}

TEST_CASE("packed_linear exact: the bits of an output do not depend on the batch", "[packed_linear]") {
  for (const Format format : kPackedFormats) {
    // Long rows, so that the panel path takes the columns in several goes, and more tokens than it takes at once.
    const std::int64_t k = 1500, n = 300, most = 135;
    const Weight weight({format, n, k, 64});
    const std::vector<float> x = weights(most * k, 11);
    std::vector<float> alone;
    for (std::int64_t token = 0; token < most; ++token) {
      const std::vector<float> y = weight.times(rows(x, token, 1, k), 1, MatmulMode::kExact);
      alone.insert(alone.end(), y.begin(), y.end());
    }
    for (std::int64_t m = 1; m <= most; m += m < 32 ? 1 : m < 70 ? 19 : 65) {
      const std::int64_t first = m % 3 * (most - m) / 3;
      CAPTURE(name(format), m, first);
      REQUIRE(same_bits(weight.times(rows(x, first, m, k), m, MatmulMode::kExact), rows(alone, first, m, n)));
    }
  }
}

TEST_CASE("packed_linear exact: the bits do not depend on how the tiles are shared out", "[packed_linear]") {
  for (const Format format : kPackedFormats) {
    const std::int64_t k = 200, n = 7 * 64 + 5;
    const Weight weight({format, n, k, 64});
    for (const std::int64_t m : {1, 4, 33}) {
      const std::vector<float> x = weights(m * k, 23);
      const std::vector<float> whole = weight.times(x, m, MatmulMode::kExact);
      for (const int piece : {1, 2, 3}) {
        Pieces pieces(piece, 3);
        CAPTURE(name(format), m, piece);
        REQUIRE(same_bits(weight.times(x, m, MatmulMode::kExact, pieces), whole));
      }
    }
  }
}

TEST_CASE("packed_linear exact: bias and LoRA end an output as in the twin", "[packed_linear]") {
  const std::int64_t k = 96, n = 130;
  const Weight weight({Format::kNf4, n, k, 32});
  for (const std::int64_t rank : {0, 1, 8, 37}) {
    for (const std::int64_t m : {1, 3, 9}) {
      const std::vector<float> x = weights(m * k, 3), z = weights(m * rank, 4), b = weights(n * rank, 5);
      PackedLinearArgs args = weight.args(x, m, MatmulMode::kExact);
      args.lora_z = z.data();
      args.lora_b = b.data();
      args.lora_rank = rank;
      for (const float* bias : {weight.bias.data(), static_cast<const float*>(nullptr)}) {
        args.bias = bias;
        CAPTURE(rank, m, bias == nullptr);
        REQUIRE(same_bits(weight.times(args), twin(weight, args)));
      }
    }
  }
}

TEST_CASE("packed_linear exact: values that are not finite spread as in the twin", "[packed_linear]") {
  const std::int64_t k = 80, n = 65, m = 8;
  for (const Format format : kPackedFormats) {
    const Weight weight({format, n, k, 32});
    std::vector<float> x = weights(m * k, 29);
    x[3] = std::numeric_limits<float>::infinity();
    x[static_cast<std::size_t>(2 * k + 79)] = std::numeric_limits<float>::quiet_NaN();
    x[static_cast<std::size_t>(5 * k)] = std::numeric_limits<float>::max();
    const PackedLinearArgs args = weight.args(x, m, MatmulMode::kExact);
    const std::vector<float> y = weight.times(args), expected = twin(weight, args);
    std::size_t alike = 0;
    for (std::size_t i = 0; i < y.size(); ++i)
      alike += y[i] == expected[i] || (y[i] != y[i] && expected[i] != expected[i]);
    CAPTURE(name(format));
    REQUIRE(alike == y.size());
  }
}

TEST_CASE("packed_linear exact: the NaN of FP8 reach the outputs of their row alone", "[packed_linear]") {
  const std::int64_t k = 100, n = 70, row = 66;
  for (const int code : {0x7f, 0xff}) {
    Weight weight({Format::kFp8, n, k, 32});
    weight.codes[static_cast<std::size_t>(row * k + 41)] = static_cast<std::uint8_t>(code);
    weight.pack_again();
    for (const std::int64_t m : {1, 40}) {
      const std::vector<float> y = weight.times(weights(m * k, 5), m, MatmulMode::kExact);
      for (std::int64_t i = 0; i < m * n; ++i) {
        CAPTURE(code, m, i);
        REQUIRE(std::isnan(y[static_cast<std::size_t>(i)]) == (i % n == row));
      }
    }
  }
}
