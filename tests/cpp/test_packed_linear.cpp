// packed_linear: pack and unpack are inverses; the integer modes are the twin bit for bit on every level, whatever the
// batch, the place of a row and the threads. ctest runs the suite once a level.
#include <cstring>
#include <limits>

#include "catch.h"
#include "fairopt/packed_linear.h"
#include "kernels/aligned_buffer.h"
#include "kernels/packed_format.h"
#include "kernels/reference_packed_linear.h"
#include "matrices.h"
#include "pieces.h"

using namespace fairopt;

namespace {

constexpr Format kPackedFormats[] = {Format::kInt8, Format::kInt4Sym, Format::kInt4Asym, Format::kNf4, Format::kFp4};

/// A packed weight of random codes, scales (zero and negative ones too) and zero points, and its rows.
struct Weight {
  QuantizedLayout layout;
  std::vector<std::uint8_t> codes, zeros;
  std::vector<float> scales, bias;
  kernels::AlignedBuffer packed;

  explicit Weight(QuantizedLayout l) : layout(l) {
    std::mt19937_64 random(static_cast<std::uint64_t>(l.rows * 131 + l.cols * 7 + l.block));
    codes.resize(static_cast<std::size_t>(l.rows * l.bytes_per_row()));
    for (std::uint8_t& code : codes) code = static_cast<std::uint8_t>(random());
    scales = weights(l.rows * l.blocks_per_row(), random());
    bias = weights(l.rows, random());
    if (has_zeros(l.format)) zeros.resize(scales.size());
    for (std::uint8_t& zero : zeros) zero = static_cast<std::uint8_t>(random() & 15);
    packed = kernels::allocate(packed_bytes(layout) / 4);
    pack(view(), layout, bytes());
  }
  std::uint8_t* bytes() const { return reinterpret_cast<std::uint8_t*>(packed.get()); }
  QuantizedView view() const { return {codes.data(), scales.data(), zeros.empty() ? nullptr : zeros.data()}; }
  PackedLinearArgs args(const std::vector<float>& x, std::int64_t m, MatmulMode mode) const {
    PackedLinearArgs out;
    out.x = x.data();
    out.m = m;
    out.packed = bytes();
    out.layout = layout;
    out.mode = mode;
    out.bias = bias.data();
    return out;
  }
  std::vector<float> times(PackedLinearArgs args, Executor& executor = default_executor()) const {
    std::vector<float> y(static_cast<std::size_t>(args.m * layout.rows), std::numeric_limits<float>::quiet_NaN());
    args.y = y.data();
    packed_linear(args, executor);
    return y;
  }
  std::vector<float> times(const std::vector<float>& x, std::int64_t m, MatmulMode mode,
                           Executor& executor = default_executor()) const {
    return times(args(x, m, mode), executor);
  }
};

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

void require_twin(const Weight& weight, const std::vector<float>& x, std::int64_t m) {
  for (const MatmulMode mode : matmul_modes(weight.layout.format)) {
    const PackedLinearArgs args = weight.args(x, m, mode);
    CAPTURE(name(weight.layout.format), name(mode), m, weight.layout.rows, weight.layout.cols, weight.layout.block);
    REQUIRE(same_bits(weight.times(args), kernels::reference::packed_linear(weight.view(), args)));
  }
}

}  // namespace

TEST_CASE("packed_linear: unpack is the inverse of pack", "[packed_linear]") {
  for (const Format format : kPackedFormats) {
    for (const std::int64_t block : {16, 48, 64}) {
      for (const std::int64_t k : {1, 2, 7, 8, 15, 16, 17, 63, 100, 193}) {
        for (const std::int64_t n : {1, 63, 64, 65, 130}) {
          const Weight weight({format, n, k, block});
          std::vector<std::uint8_t> codes(weight.codes.size()), zeros(weight.zeros.size());
          std::vector<float> scales(weight.scales.size());
          unpack(weight.bytes(), weight.layout, {codes.data(), scales.data(), zeros.data()});
          CAPTURE(name(format), block, k, n);
          REQUIRE(codes == weight.codes);
          REQUIRE(zeros == weight.zeros);
          REQUIRE(same_bits(scales, weight.scales));
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
          for (const std::int64_t m : {0, 1, 2, 3, 5, 7}) require_twin(weight, weights(7 * k, 3), m);
        }
      }
    }
  }
}
