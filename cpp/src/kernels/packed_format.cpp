#include "kernels/packed_format.h"

#include <limits>

#include "kernels/formats.h"

namespace fairopt::kernels {
namespace {

using formats::Rule;

/// The values of all codes of FP8, which kernels compute.
struct E4m3Values {
  float values[256] = {};
  constexpr E4m3Values() {
    for (int code = 0; code < 256; ++code) {
      const int exponent = code >> 3 & 15, mantissa = code & 7;
      float value = static_cast<float>(exponent == 0 ? mantissa : 8 + mantissa) * 0x1p-9f;
      for (int e = 1; e < exponent; ++e) value *= 2.0f;
      if ((code & 0x7f) == formats::kFp8Nan) value = std::numeric_limits<float>::quiet_NaN();
      values[code] = code < 128 ? value : -value;
    }
  }
};
constexpr E4m3Values kE4m3Values;

PackedCodes codebook(int bits, const float* values) {
  return {.bits = bits, .offset = 0, .flip = 0, .codebook = values, .zeros = PackedZeros::kNone};
}

/// Of a zero point.
std::int64_t zero_bytes(PackedZeros zeros) {
  return zeros == PackedZeros::kNone ? 0 : zeros == PackedZeros::kInteger ? 1 : 4;
}

}  // namespace

PackedCodes packed_codes(Format format) {
  const formats::Spec spec = formats::kSpecs[static_cast<int>(format)];
  const int bits = resident_bits(spec.bits);
  if (spec.rule == Rule::kNormalFloat) return codebook(bits, formats::kNf4);
  if (spec.rule == Rule::kBnbFloat) return codebook(bits, formats::kFp4);
  if (spec.rule == Rule::kE4m3) return codebook(bits, kE4m3Values.values);
  const PackedZeros zeros = formats::has_integer_zeros(spec.rule) ? PackedZeros::kInteger
                            : formats::has_float_zeros(spec.rule) ? PackedZeros::kFloat
                                                                  : PackedZeros::kNone;
  // Two's complement is offset binary with the top bit flipped.
  const bool twos_complement = spec.bits == 8 && zeros == PackedZeros::kNone;
  return {.bits = bits,
          .offset = twos_complement ? 128 : formats::offset(spec),
          .flip = twos_complement ? 0x80 : 0,
          .codebook = nullptr,
          .zeros = zeros};
}

PackedLayout::PackedLayout(const QuantizedLayout& layout)
    : codes(packed_codes(layout.format)), stored_bits(code_bits(layout.format)) {
  const auto code_bytes = [&](std::int64_t columns) { return 4 * kTileRows * packed_dwords(stored_bits, columns); };
  tiles = (layout.rows + kTileRows - 1) / kTileRows;
  blocks = layout.blocks_per_row();
  header_bytes = kTileRows * (4 + zero_bytes(codes.zeros));
  block_bytes = header_bytes + code_bytes(layout.block);
  const std::int64_t last = layout.cols - (blocks - 1) * layout.block;
  tile_bytes = blocks == 0 ? 0 : (blocks - 1) * block_bytes + header_bytes + code_bytes(last);
}

}  // namespace fairopt::kernels
