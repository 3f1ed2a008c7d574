#include "kernels/packed_format.h"

#include "kernels/formats.h"
#include "kernels/require.h"

namespace fairopt::kernels {
namespace {

PackedCodes integers(int bits, int offset, PackedZeros zeros) {
  return {.bits = bits, .offset = offset, .flip = 0, .codebook = nullptr, .zeros = zeros};
}
PackedCodes codebook(const float* values) {
  return {.bits = 4, .offset = 0, .flip = 0, .codebook = values, .zeros = PackedZeros::kNone};
}
/// Two's complement is offset binary with the top bit flipped.
constexpr PackedCodes kSignedBytes{
    .bits = 8, .offset = 128, .flip = 0x80, .codebook = nullptr, .zeros = PackedZeros::kNone};
constexpr PackedCodes kNotPacked{};

}  // namespace

PackedCodes packed_codes(Format format) {
  switch (format) {
    case Format::kInt8:
      return kSignedBytes;
    case Format::kInt4Sym:
    case Format::kInt4Sym7:
    case Format::kInt4SymNoClip:
    case Format::kInt4SymSigned8:
      return integers(4, formats::kInt4SymOffset, PackedZeros::kNone);
    case Format::kInt4Asym:
      return integers(4, 0, PackedZeros::kInteger);
    case Format::kInt4AsymFloat:
      return integers(4, 0, PackedZeros::kFloat);
    case Format::kInt4Tinygemm:
      return integers(4, formats::kInt4SymOffset, PackedZeros::kFloat);
    case Format::kInt8Asym:
      return integers(8, 0, PackedZeros::kInteger);
    case Format::kInt8AsymFloat:
      return integers(8, 0, PackedZeros::kFloat);
    case Format::kNf4:
      return codebook(formats::kNf4);
    case Format::kFp4:
      return codebook(formats::kFp4);
    default:
      return kNotPacked;
  }
}

PackedLayout::PackedLayout(const QuantizedLayout& layout) : codes(packed_codes(layout.format)) {
  const std::int64_t step = codes.bits == 4 ? 8 : 4;  // columns that lie together
  const auto code_bytes = [&](std::int64_t columns) {
    return (columns + step - 1) / step * step * kTileRows * codes.bits / 8;
  };
  tiles = (layout.rows + kTileRows - 1) / kTileRows;
  blocks = layout.blocks_per_row();
  header_bytes = kTileRows * static_cast<std::int64_t>(sizeof(float)) * (codes.zeros == PackedZeros::kNone ? 1 : 2);
  block_bytes = header_bytes + code_bytes(layout.block);
  const std::int64_t last = layout.cols - (blocks - 1) * layout.block;
  tile_bytes = blocks == 0 ? 0 : (blocks - 1) * block_bytes + header_bytes + code_bytes(last);
}

void require_packed(Format format, const char* op) {
  require(packed_codes(format).bits != 0, op, "format must have a packed layout (4-bit codes, int8), got {}",
          name(format));
}

}  // namespace fairopt::kernels
