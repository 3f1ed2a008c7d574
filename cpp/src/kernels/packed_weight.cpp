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

using kernels::kOctet;
using kernels::kTileRows;
using kernels::PackedCodes;
using kernels::PackedLayout;
using kernels::PackedZeros;
using kernels::require;

/// Eight codes of a row -> bytes, the first code in the lowest.
template <int kStored>
std::uint64_t spread(const std::uint8_t* octet) {
  std::uint64_t string = 0, codes = 0;
  for (int i = 0; i < kStored; ++i) string = string << 8 | octet[i];
  for (int i = 0; i < kOctet; ++i) {
    codes |= (string >> kStored * (kOctet - 1 - i) & ((1u << kStored) - 1)) << 8 * i;
  }
  return codes;
}
/// Its inverse.
template <int kStored>
void gather(std::uint64_t codes, std::uint8_t* octet) {
  std::uint64_t string = 0;
  for (int i = 0; i < kOctet; ++i) string = string << kStored | (codes >> 8 * i & 0xff);
  for (int i = kStored - 1; i >= 0; --i, string >>= 8) octet[i] = static_cast<std::uint8_t>(string);
}

/// Eight codes of zero, as bytes.
std::uint64_t zero_codes(const PackedCodes& codes) {
  int zero = codes.offset ^ codes.flip;
  while (codes.codebook != nullptr && codes.codebook[zero] != 0.0f) ++zero;
  return static_cast<std::uint64_t>(zero) * 0x0101010101010101;
}

/// One block of one row, between its place in the rows and its place in a tile. A dword of the tile holds kQuads times
/// four codes, one of each four in a byte.
template <int kStored>
struct RowBlock {
  static constexpr int kBits = kernels::resident_bits(kStored), kQuads = 8 / kBits;
  std::int64_t bytes;   ///< of codes in the row
  std::int64_t dwords;  ///< in the tile
  std::uint64_t zeros;  ///< what follows the codes of the row

  RowBlock(std::int64_t columns, std::uint64_t zero_octet)
      : bytes((columns * kStored + 7) / 8), dwords(kernels::packed_dwords(kStored, columns)), zeros(zero_octet) {}

  std::int64_t bytes_of_octet(std::int64_t i) const {
    return std::clamp<std::int64_t>(bytes - i * kStored, 0, kStored);
  }

  void pack(const std::uint8_t* row, std::uint8_t* tile) const {
    for (std::int64_t i = 0; i < dwords; ++i) {
      std::uint32_t dword = 0;
      for (int q = 0; q < kQuads; ++q) {
        const std::int64_t quad = i * kQuads + q;
        dword |= static_cast<std::uint32_t>(octet_of_row(row, quad / 2) >> 32 * (quad % 2)) << kBits * q;
      }
      std::memcpy(tile + i * kTileRows * 4, &dword, 4);
    }
  }
  void unpack(const std::uint8_t* tile, std::uint8_t* row) const {
    for (std::int64_t i = 0; i * kStored < bytes; ++i) {
      std::uint8_t octet[kOctet];
      gather<kStored>(quad_of_tile(tile, 2 * i) | quad_of_tile(tile, 2 * i + 1) << 32, octet);
      std::memcpy(row + i * kStored, octet, static_cast<std::size_t>(bytes_of_octet(i)));
    }
  }

 private:
  std::uint64_t octet_of_row(const std::uint8_t* row, std::int64_t i) const {
    const std::int64_t there = bytes_of_octet(i);
    if (there == kStored) return spread<kStored>(row + i * kStored);
    std::uint8_t octet[kOctet];
    gather<kStored>(zeros, octet);
    if (there > 0) std::memcpy(octet, row + i * kStored, static_cast<std::size_t>(there));
    return spread<kStored>(octet);
  }
  std::uint64_t quad_of_tile(const std::uint8_t* tile, std::int64_t quad) const {
    if (quad >= dwords * kQuads) return zeros & 0xffffffff;
    std::uint32_t dword;
    std::memcpy(&dword, tile + quad / kQuads * kTileRows * 4, 4);
    return dword >> kBits * (quad % kQuads) & ((1u << kBits) - 1) * 0x01010101u;
  }
};

/// body(RowBlock) for a block of a weight.
template <class Body>
void with_row_block(const PackedLayout& packed, const QuantizedLayout& layout, std::int64_t block, const Body& body) {
  const std::int64_t columns = std::min(layout.block, layout.cols - block * layout.block);
  const std::uint64_t zeros = zero_codes(packed.codes);
  switch (packed.stored_bits) {
    case 2:
      return body(RowBlock<2>(columns, zeros));
    case 3:
      return body(RowBlock<3>(columns, zeros));
    case 4:
      return body(RowBlock<4>(columns, zeros));
    case 5:
      return body(RowBlock<5>(columns, zeros));
    case 6:
      return body(RowBlock<6>(columns, zeros));
    default:
      return body(RowBlock<8>(columns, zeros));
  }
}

/// Scale and zero point of row r; those past the end of W are 0.
void pack_header(const QuantizedView& weight, PackedZeros zeros, std::int64_t r, std::int64_t at, bool inside,
                 std::uint8_t* header) {
  auto* scales = reinterpret_cast<float*>(header);
  scales[r] = inside ? weight.scales[at] : 0.0f;
  if (zeros == PackedZeros::kInteger) header[4 * kTileRows + r] = inside ? weight.zeros[at] : 0;
  if (zeros == PackedZeros::kFloat) scales[kTileRows + r] = inside ? weight.float_zeros[at] : 0.0f;
}
void unpack_header(const std::uint8_t* header, PackedZeros zeros, std::int64_t r, std::int64_t at,
                   const QuantizedBuffers& out) {
  const auto* scales = reinterpret_cast<const float*>(header);
  out.scales[at] = scales[r];
  if (zeros == PackedZeros::kInteger) out.zeros[at] = header[4 * kTileRows + r];
  if (zeros == PackedZeros::kFloat) out.float_zeros[at] = scales[kTileRows + r];
}

void pack_tile(const QuantizedView& weight, const QuantizedLayout& layout, const PackedLayout& packed,
               std::int64_t tile, std::uint8_t* out) {
  for (std::int64_t block = 0; block < packed.blocks; ++block, out += packed.block_bytes) {
    with_row_block(packed, layout, block, [&](auto of_row) {
      const std::int64_t first = block * layout.block * packed.stored_bits / 8;
      for (std::int64_t r = 0; r < kTileRows; ++r) {
        const std::int64_t row = tile * kTileRows + r;
        const bool inside = row < layout.rows;
        if (!inside) of_row.bytes = 0;
        pack_header(weight, packed.codes.zeros, r, row * packed.blocks + block, inside, out);
        of_row.pack(inside ? weight.codes + row * layout.bytes_per_row() + first : nullptr,
                    out + packed.header_bytes + 4 * r);
      }
    });
  }
}

void unpack_tile(const std::uint8_t* in, const QuantizedLayout& layout, const PackedLayout& packed, std::int64_t tile,
                 const QuantizedBuffers& out) {
  const std::int64_t rows = std::min(kTileRows, layout.rows - tile * kTileRows);
  for (std::int64_t block = 0; block < packed.blocks; ++block, in += packed.block_bytes) {
    with_row_block(packed, layout, block, [&](const auto& of_row) {
      const std::int64_t first = block * layout.block * packed.stored_bits / 8;
      for (std::int64_t r = 0; r < rows; ++r) {
        const std::int64_t row = tile * kTileRows + r;
        unpack_header(in, packed.codes.zeros, r, row * packed.blocks + block, out);
        of_row.unpack(in + packed.header_bytes + 4 * r, out.codes + row * layout.bytes_per_row() + first);
      }
    });
  }
}

}  // namespace

std::int64_t packed_bytes(const QuantizedLayout& layout) {
  check(layout, "packed_bytes");
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
