// pack and unpack: rows of codes to tiles of 64 rows and back.
#include <algorithm>
#include <cstring>

#include "fairopt/packed_linear.h"
#include "kernels/formats.h"
#include "kernels/huge_pages.h"
#include "kernels/packed_format.h"
#include "kernels/require.h"

namespace fairopt {
namespace {

using kernels::kTileRows;
using kernels::PackedLayout;
using kernels::PackedZeros;
using kernels::require;

/// Eight 4-bit codes of a row, first in the high nibble of each byte, to the dword of the packed layout: byte b of it
/// holds code b and, in its high nibble, code b + 4. Bytes of the word are in memory order, the lowest first.
std::uint32_t pack_octet(std::uint32_t row) {
  const std::uint32_t even = row >> 4 & 0x0f0f0f0f, odd = row & 0x0f0f0f0f;  // codes 0 2 4 6 and 1 3 5 7
  const std::uint32_t low = (even & 0xff) | (odd & 0xff) << 8 | (even & 0xff00) << 8 | (odd & 0xff00) << 16;
  const std::uint32_t high = (even >> 16 & 0xff) | (odd >> 16 & 0xff) << 8 | (even >> 24) << 16 | (odd >> 24) << 24;
  return low | high << 4;
}
std::uint32_t unpack_octet(std::uint32_t dword) {
  const std::uint32_t low = dword & 0x0f0f0f0f, high = dword >> 4 & 0x0f0f0f0f;  // codes 0 1 2 3 and 4 5 6 7
  const auto two_bytes = [](std::uint32_t codes) {
    return (codes & 0xff) << 4 | (codes >> 8 & 0xff) | ((codes >> 16 & 0xff) << 4 | codes >> 24) << 8;
  };
  return two_bytes(low) | two_bytes(high) << 16;
}

/// The code of zero in every place of a byte.
std::uint8_t zero_byte(const PackedLayout& packed) {
  if (packed.codes.bits == 8) return static_cast<std::uint8_t>(packed.codes.offset ^ packed.codes.flip);
  int code = packed.codes.offset;
  if (packed.codes.codebook != nullptr) {
    while (packed.codes.codebook[code] != 0.0f) ++code;
  }
  return static_cast<std::uint8_t>(code * 0x11);
}

/// One block of one row, between its place in the rows and its place in a tile.
struct RowBlock {
  std::int64_t bytes;   ///< of codes in the row
  std::int64_t dwords;  ///< in the tile, the last one padded
};
RowBlock row_block(const PackedLayout& packed, const QuantizedLayout& layout, std::int64_t block) {
  const std::int64_t columns = std::min(layout.block, layout.cols - block * layout.block);
  const std::int64_t bytes = (columns * packed.codes.bits + 7) / 8;
  return {bytes, (bytes + 3) / 4};
}

void pack_codes(const PackedLayout& packed, RowBlock size, const std::uint8_t* row, std::uint8_t* tile) {
  const std::uint8_t zero = zero_byte(packed);
  for (std::int64_t i = 0; i < size.dwords; ++i) {
    std::uint8_t bytes[4] = {zero, zero, zero, zero};
    std::memcpy(bytes, row + 4 * i, static_cast<std::size_t>(std::min<std::int64_t>(4, size.bytes - 4 * i)));
    std::uint32_t word;
    std::memcpy(&word, bytes, 4);
    if (packed.codes.bits == 4) word = pack_octet(word);
    std::memcpy(tile + i * kTileRows * 4, &word, 4);
  }
}

void unpack_codes(const PackedLayout& packed, RowBlock size, const std::uint8_t* tile, std::uint8_t* row) {
  for (std::int64_t i = 0; i < size.dwords; ++i) {
    std::uint32_t word;
    std::memcpy(&word, tile + i * kTileRows * 4, 4);
    if (packed.codes.bits == 4) word = unpack_octet(word);
    std::memcpy(row + 4 * i, &word, static_cast<std::size_t>(std::min<std::int64_t>(4, size.bytes - 4 * i)));
  }
}

/// A row past the end of W: codes of zero under a scale of zero.
void pad_codes(const PackedLayout& packed, RowBlock size, std::uint8_t* tile) {
  for (std::int64_t i = 0; i < size.dwords; ++i) std::memset(tile + i * kTileRows * 4, zero_byte(packed), 4);
}

float* scales_of(std::uint8_t* block) { return reinterpret_cast<float*>(block); }
const float* scales_of(const std::uint8_t* block) { return reinterpret_cast<const float*>(block); }

void pack_tile(const QuantizedView& weight, const QuantizedLayout& layout, const PackedLayout& packed,
               std::int64_t tile, std::uint8_t* out) {
  for (std::int64_t block = 0; block < packed.blocks; ++block, out += packed.block_bytes) {
    const RowBlock size = row_block(packed, layout, block);
    for (std::int64_t r = 0; r < kTileRows; ++r) {
      const std::int64_t row = tile * kTileRows + r, at = row * packed.blocks + block;
      const bool inside = row < layout.rows;
      std::uint8_t* codes = out + packed.header_bytes + 4 * r;
      scales_of(out)[r] = inside ? weight.scales[at] : 0.0f;
      if (packed.codes.zeros == PackedZeros::kInteger) scales_of(out)[kTileRows + r] = inside ? weight.zeros[at] : 0.0f;
      if (packed.codes.zeros == PackedZeros::kFloat) {
        scales_of(out)[kTileRows + r] = inside ? weight.float_zeros[at] : 0.0f;
      }
      if (!inside) {
        pad_codes(packed, size, codes);
        continue;
      }
      const std::int64_t first = block * layout.block * packed.codes.bits / 8;
      pack_codes(packed, size, weight.codes + row * layout.bytes_per_row() + first, codes);
    }
  }
}

void unpack_tile(const std::uint8_t* in, const QuantizedLayout& layout, const PackedLayout& packed, std::int64_t tile,
                 const QuantizedBuffers& out) {
  const std::int64_t rows = std::min(kTileRows, layout.rows - tile * kTileRows);
  for (std::int64_t block = 0; block < packed.blocks; ++block, in += packed.block_bytes) {
    const RowBlock size = row_block(packed, layout, block);
    for (std::int64_t r = 0; r < rows; ++r) {
      const std::int64_t row = tile * kTileRows + r, at = row * packed.blocks + block;
      out.scales[at] = scales_of(in)[r];
      if (packed.codes.zeros == PackedZeros::kInteger) {
        out.zeros[at] = static_cast<std::uint8_t>(scales_of(in)[kTileRows + r]);
      }
      if (packed.codes.zeros == PackedZeros::kFloat) out.float_zeros[at] = scales_of(in)[kTileRows + r];
      const std::int64_t first = block * layout.block * packed.codes.bits / 8;
      unpack_codes(packed, size, in + packed.header_bytes + 4 * r, out.codes + row * layout.bytes_per_row() + first);
    }
  }
}

}  // namespace

std::int64_t packed_bytes(const QuantizedLayout& layout) {
  check(layout, "packed_bytes");
  kernels::require_packed(layout.format, "packed_bytes");
  const PackedLayout packed(layout);
  return packed.tiles * packed.tile_bytes;
}

void pack(const QuantizedView& weight, const QuantizedLayout& layout, std::uint8_t* packed, Executor& executor) {
  if (packed_bytes(layout) == 0) return;
  check(weight, layout.format, "pack", "weight");
  require(packed != nullptr, "pack", "packed must not be null");
  const PackedLayout to(layout);
  kernels::prefer_huge_pages(packed, packed_bytes(layout));
  executor.parallel_for(0, to.tiles, 1, [&](std::int64_t lo, std::int64_t hi) {
    for (std::int64_t tile = lo; tile < hi; ++tile) pack_tile(weight, layout, to, tile, packed + tile * to.tile_bytes);
  });
}

void unpack(const std::uint8_t* packed, const QuantizedLayout& layout, const QuantizedBuffers& out,
            Executor& executor) {
  if (packed_bytes(layout) == 0) return;
  require(packed != nullptr, "unpack", "packed must not be null");
  check({out.codes, out.scales, out.zeros, out.float_zeros}, layout.format, "unpack", "out");
  const PackedLayout from(layout);
  executor.parallel_for(0, from.tiles, 1, [&](std::int64_t lo, std::int64_t hi) {
    for (std::int64_t tile = lo; tile < hi; ++tile) {
      unpack_tile(packed + tile * from.tile_bytes, layout, from, tile, out);
    }
  });
}

}  // namespace fairopt
