// The integer modes of packed_linear: their bits, their error, the overflow of their digits. ctest runs the suite once
// a level, so all levels are compared with the same twin.
#include <algorithm>
#include <cmath>

#include "catch.h"
#include "kernels/packed_format.h"
#include "kernels/scalar_codec.h"
#include "packed_weights.h"
#include "pieces.h"

using namespace packed_weights;

namespace {

int planes_of(MatmulMode mode) { return mode == MatmulMode::kA8 ? 1 : mode == MatmulMode::kA24 ? 3 : 2; }

/// y in float64 and the bound of |result - y|, for rows of x that the guard leaves in `mode`.
///
/// u = 2^-24. A block has step = amax / L, L = 127 * 256^(planes - 1). x * fl(L / amax) is rounded twice and step once,
/// and rint moves by half a step: |q * step - x| <= step / 2 + 3u |x| (1 + O(u)); clamping to [-L, L] only helps. So
/// the activations cost, with A = sum |code - zero| over the block, |scale| A (step / 2 + 3u amax). The sums S_p are
/// exact. With |S_p| <= 128 A and |S| <= A L no partial value of the fold, in units of its last step, exceeds A L (1 +
/// 2^-6): 2 levels - 1 roundings cost (2 levels - 1) u of A amax |scale|. fl(scale * step) and the final FMA round once
/// each, the latter by u of the sum so far: `blocks` times u of the whole magnitude at most. A float zero point adds
/// the same with |zero| for |scale| and the number of columns for A.
/// i16 replaces a codebook value by an integer over 32640: half of 1 / 32640, and 2^-24 of the fp32 product before it;
/// step is divided once more, and 256 times the high byte of a small negative value may be half as large again as it.
struct Bounded {
  double y, bound;
};
Bounded bounded(const Weight& weight, const float* x, std::int64_t row, MatmulMode mode) {
  constexpr double u = 0x1p-24;
  const QuantizedLayout& layout = weight.layout;
  const std::int64_t blocks = layout.blocks_per_row(), bytes = layout.bytes_per_row();
  const kernels::PackedCodes codes = kernels::packed_codes(layout.format);
  const int levels = mode == MatmulMode::kI16 ? 3 : planes_of(mode);
  const double limit = 127.0 * std::pow(256.0, planes_of(mode) - 1);
  double y = 0.0, error = 0.0, magnitude = 0.0;
  for (std::int64_t b = 0; b < blocks; ++b) {
    const auto at = static_cast<std::size_t>(row * blocks + b);
    const double scale = weight.scales[at], zero = weight.zeros.empty() ? 0.0 : weight.zeros[at];
    const double shift = weight.float_zeros.empty() ? 0.0 : weight.float_zeros[at];
    double amax = 0.0, codes_sum = 0.0, n = 0.0;
    for (std::int64_t k = b * layout.block; k < std::min((b + 1) * layout.block, layout.cols); ++k) {
      const int code = kernels::read_code(weight.codes.data() + row * bytes, code_bits(layout.format), k);
      const double value = codes.codebook != nullptr ? codes.codebook[code] : (code ^ codes.flip) - codes.offset - zero;
      y += (value * scale + shift) * x[k];
      amax = std::max(amax, std::fabs(static_cast<double>(x[k])));
      codes_sum += std::fabs(value);
      n += 1.0;
    }
    const double weights = std::fabs(scale) * codes_sum + std::fabs(shift) * n;
    error += weights * (amax / limit / 2.0 + 3.0 * u * amax);
    if (mode == MatmulMode::kI16) error += std::fabs(scale) * n * amax * (0.5 / 32640.0 + u);
    magnitude += weights * amax;
  }
  const double bias = weight.bias[static_cast<std::size_t>(row)];
  const double partial = mode == MatmulMode::kI16 ? 2.0 : 1.0 + 0x1p-6;
  const double roundings = (2.0 * levels - 1.0) * partial + 3.0 + 2.0 * static_cast<double>(blocks);
  error += roundings * u * (magnitude + error) + u * (std::fabs(y + bias) + error);
  return {y + bias, error * (1.0 + 0x1p-10)};
}

void require_within_bound(const Weight& weight, const std::vector<float>& x, std::int64_t m, MatmulMode mode) {
  const std::vector<float> y = weight.times(x, m, mode);
  for (std::int64_t token = 0; token < m; ++token) {
    for (std::int64_t row = 0; row < weight.layout.rows; ++row) {
      const Bounded want = bounded(weight, x.data() + token * weight.layout.cols, row, mode);
      CAPTURE(name(weight.layout.format), name(mode), token, row, want.y, want.bound);
      REQUIRE(std::fabs(y[static_cast<std::size_t>(token * weight.layout.rows + row)] - want.y) <= want.bound);
    }
  }
}

}  // namespace

TEST_CASE("packed_linear: the twin's bits for every number of tokens", "[packed_planes]") {
  for (const Format format : kPackedFormats) {
    const Weight weight({format, 67, 300, 128}), one_block({format, 5, 1100, 4096});
    const std::vector<float> x = weights(70 * 1100, 5);
    require_twin(weight, x, integer_modes(format), {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 17, 70});
    require_twin(one_block, x, integer_modes(format), {1, 4, 14, 25});
  }
  const Weight weight({Format::kInt4Sym, 3, 48, 16});  // more tokens than are worked on at a time
  require_twin(weight, weights(200 * 48, 6), integer_modes(weight.layout.format), {200});
}

TEST_CASE("packed_linear: bits do not depend on batch, row or threads", "[packed_planes]") {
  for (const Format format : {Format::kInt8, Format::kInt4Sym, Format::kInt4AsymFloat, Format::kNf4}) {
    const std::int64_t k = 610, n = 200, most = 40;
    const Weight weight({format, n, k, 64});
    const std::vector<float> x = weights(most * k, 11);
    for (const MatmulMode mode : matmul_modes(format)) {
      std::vector<float> alone;
      for (std::int64_t token = 0; token < most; ++token) {
        const std::vector<float> y = weight.times({x.begin() + token * k, x.begin() + (token + 1) * k}, 1, mode);
        alone.insert(alone.end(), y.begin(), y.end());
      }
      CAPTURE(name(format), name(mode));
      for (const std::int64_t m : {2, 3, 5, 6, 7, 13, 40}) {
        const std::vector<float> last(x.end() - m * k, x.end());
        REQUIRE(same_bits(weight.times(last, m, mode), {alone.end() - m * n, alone.end()}));
      }
      for (const std::int64_t piece : {1, 2, 3}) {
        Pieces executor(piece);
        REQUIRE(same_bits(weight.times(x, most, mode, executor), alone));
      }
      const std::vector<float> reversed_y = [&] {  // the same rows of x in another order
        std::vector<float> reversed;
        for (std::int64_t t = most; t-- > 0;)
          reversed.insert(reversed.end(), x.begin() + t * k, x.begin() + (t + 1) * k);
        return weight.times(reversed, most, mode);
      }();
      for (std::int64_t t = 0; t < most; ++t) {
        const auto row = reversed_y.begin() + (most - 1 - t) * n;
        REQUIRE(same_bits({row, row + n}, {alone.begin() + t * n, alone.begin() + (t + 1) * n}));
      }
    }
  }
}

TEST_CASE("packed_linear: the integer modes are within their bounds of float64", "[packed_planes]") {
  for (const Format format : kPackedFormats) {
    for (const std::int64_t block : {32, 128, 4096}) {
      const Weight weight({format, 70, 517, block});
      for (const MatmulMode mode : integer_modes(format)) {
        require_within_bound(weight, weights(3 * 517, 21), 3, mode);
      }
    }
  }
}

TEST_CASE("packed_linear: activations at the limits of the digits do not wrap", "[packed_planes]") {
  // All values are +-amax, or one float below: q is L, and x * (L / amax) may round to more than L. All codes extreme.
  std::mt19937_64 random(5);
  for (const Format format : kPackedFormats) {
    Weight weight({format, 66, 520, 4096});
    for (std::size_t i = 0; i < weight.codes.size(); ++i)
      weight.codes[i] = i % 3 == 0 ? 0x00 : i % 3 == 1 ? 0xff : 0x80;
    weight.pack_again();
    std::vector<float> x(14 * 520);
    for (std::size_t i = 0; i < x.size(); ++i) {
      const float amax = 0.5f + static_cast<float>(i / 520) * 0.3719f;
      x[i] = random() % 4 == 0 ? std::nextafter(amax, 0.0f) : amax;
      if (i / 520 % 2 == 1 && random() % 2 == 0) x[i] = -x[i];
    }
    require_twin(weight, x, integer_modes(format), {14});
    for (const MatmulMode mode : integer_modes(format)) require_within_bound(weight, x, 14, mode);
  }
}

TEST_CASE("packed_linear: blocks and tokens of zeros", "[packed_planes]") {
  for (const Format format : kPackedFormats) {
    const Weight weight({format, 65, 96, 32});
    std::vector<float> x = weights(2 * 96, 31);
    std::fill(x.begin() + 32, x.begin() + 64, 0.0f);
    std::fill(x.begin() + 96, x.end(), -0.0f);
    require_twin(weight, x, integer_modes(format), {2});
    for (const MatmulMode mode : matmul_modes(format)) {
      const std::vector<float> y = weight.times(x, 2, mode);
      REQUIRE(std::equal(y.begin() + 65, y.end(), weight.bias.begin()));
    }
  }
}

TEST_CASE("packed_linear: LoRA is added after the bias, one fused step a rank", "[packed_planes]") {
  const Weight weight({Format::kInt4Sym, 70, 64, 32});
  const std::vector<float> x = weights(9 * 64, 1), z = weights(9 * 5, 2), b = weights(70 * 5, 3);
  for (const MatmulMode mode : integer_modes(weight.layout.format)) {
    for (const std::int64_t m : {1, 9}) {
      PackedLinearArgs args = weight.args(x, m, mode);
      args.lora_z = z.data();
      args.lora_b = b.data();
      args.lora_rank = 5;
      REQUIRE(same_bits(weight.times(args), twin(weight, args)));
    }
  }
}
