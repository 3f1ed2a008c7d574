// How the packed layout reads a format: by family, so that a new dialect of a family is one line in packed_format.cpp.
#pragma once
#include <cstdint>

#include "fairopt/quantize.h"
#include "kernels/cpu/table.h"

namespace fairopt::kernels {

/// Bits of a code in the packed form: codes of fewer than 4 bits are widened to nibbles, those of 5 and 6 to bytes.
constexpr int resident_bits(int stored_bits) { return stored_bits <= 4 ? 4 : 8; }

inline constexpr std::int64_t kOctet = 8;  ///< codes that start on a byte of a row, whatever their width

/// Dwords of the codes of a row in `columns` columns of a block: whole octets, so that all bits of the row have a
/// place.
constexpr std::int64_t packed_dwords(int stored_bits, std::int64_t columns) {
  const std::int64_t together = stored_bits == 8 ? 4 : kOctet;
  return (columns + together - 1) / together * together * resident_bits(stored_bits) / 32;
}

/// The family of `format`.
PackedCodes packed_codes(Format format);

/// Where things lie in the packed form of `layout`.
struct PackedLayout {
  PackedCodes codes;
  int stored_bits;  ///< of a code in the rows
  std::int64_t tiles, blocks;
  std::int64_t header_bytes;  ///< scales and zero points before the codes of a block
  std::int64_t block_bytes;   ///< of a whole block with its header; the last of a row may be shorter
  std::int64_t tile_bytes;

  explicit PackedLayout(const QuantizedLayout& layout);
};

}  // namespace fairopt::kernels
