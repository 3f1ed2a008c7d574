// packed_linear: pack and unpack are inverses; the integer modes are the twin bit for bit on every level, whatever the
// batch, the place of a row and the threads. ctest runs the suite once a level.
#include "catch.h"
#include "packed_weights.h"

using namespace packed_weights;

TEST_CASE("packed_linear: unpack is the inverse of pack", "[packed_linear]") {
  for (const Format format : kPackedFormats) {
    for (const std::int64_t block : {16, 48, 64}) {
      for (const std::int64_t k : {1, 2, 7, 8, 15, 16, 17, 63, 100, 193}) {
        for (const std::int64_t n : {1, 63, 64, 65, 130}) {
          const Weight weight({format, n, k, block});
          std::vector<std::uint8_t> codes(weight.codes.size()), zeros(weight.zeros.size());
          std::vector<float> scales(weight.scales.size()), float_zeros(weight.float_zeros.size());
          unpack(weight.bytes(), weight.layout, {codes.data(), scales.data(), zeros.data(), float_zeros.data()});
          CAPTURE(name(format), block, k, n);
          REQUIRE(codes == weight.codes);
          REQUIRE(zeros == weight.zeros);
          REQUIRE(same_bits(scales, weight.scales));
          REQUIRE(same_bits(float_zeros, weight.float_zeros));
        }
      }
    }
  }
}

TEST_CASE("packed_linear: the twin's bits for ragged shapes", "[packed_linear]") {
  for (const Format format : kPackedFormats) {
    for (const std::int64_t block : {16, 32, 48, 128, 4096}) {
      for (const std::int64_t k : {1, 7, 8, 33, 129, 500}) {
        for (const std::int64_t n : {1, 65}) {
          const Weight weight({format, n, k, block});
          require_twin(weight, weights(7 * k, 3), matmul_modes(format), {0, 1, 2, 3, 5, 7});
        }
      }
    }
  }
}
