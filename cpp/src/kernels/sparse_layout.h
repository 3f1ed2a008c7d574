// The packed form of a sparse weight in bytes. docs/formats.md draws it.
//
//   [header: the order][tile table][row scales of int8, whole tiles][tile 0][tile 1] ... [slack]
//
// A tile is 64 rows: a 64-bit mask for each column, then streams of values. With P = 4 / value_bytes values a dword
// there are 4 / P streams of 16 P rows each. Think of a column of a stream as 16 dwords, dword i holding rows i, 16 +
// i, ... of the stream, the first in the low bits. Two orders leave the zeros out:
//
//   by value   as the values of the dwords lie in memory (vpexpandw, vpexpandb: AVX-512 VBMI2). A bit of the mask
//   stands
//              for a value, in that order.
//   by group   each 16 rows on their own: dword j of a stream holds the j-th value of each of its groups, which fill it
//              at their own pace; where they hold unequal numbers the shorter end in zeros. A bit stands for a row.
//
// For values of 4 bytes both are the same.
#pragma once
#include <cstdint>

#include "fairopt/sparse_linear.h"
#include "kernels/cpu/table.h"

namespace fairopt::kernels {

inline constexpr std::int64_t kSparseAlignment = 64;

inline std::int64_t aligned_up(std::int64_t bytes) {
  return (bytes + kSparseAlignment - 1) / kSparseAlignment * kSparseAlignment;
}

/// What the bytes start with.
struct SparseHeader {
  std::int64_t by_value, type, rows, cols;
};

/// How rows and bits of a tile belong together, and the parts whose place does not depend on the weights.
struct SparseParts {
  bool by_value;
  int value_bytes, places, streams;  ///< values a dword; streams a tile
  int groups, lanes, step;  ///< that fill a stream at their own pace; bits of a group; bytes from value to value
  std::int64_t tiles, table, scales, first_tile;  ///< how many; where, in bytes

  SparseParts(const SparseLayout& layout, bool in_value_order)
      : by_value(in_value_order),
        value_bytes(fairopt::value_bytes(layout.type)),
        places(4 / value_bytes),
        streams(kSparseGroups / places),
        groups(by_value ? streams : kSparseGroups),
        lanes(static_cast<int>(kTileRows) / groups),
        step(by_value ? value_bytes : 4),
        tiles((layout.rows + kTileRows - 1) / kTileRows),
        table(kSparseAlignment),
        scales(aligned_up(table + tiles * static_cast<std::int64_t>(sizeof(SparseTile)))),
        first_tile(scales + (layout.type == SparseType::kInt8 ? tiles * kTileRows * 4 : 0)) {}

  int stream_of(int group) const { return by_value ? group : group / places; }
  /// Where the values of a group start in its stream, in bytes.
  int offset_of(int group) const { return by_value ? 0 : group % places * value_bytes; }
  /// The row of a tile that a bit of a mask stands for.
  int row_of(int bit) const {
    if (!by_value) return bit;
    const int in_stream = bit % lanes;
    return bit / lanes * lanes + in_stream % places * kGroupRows + in_stream / places;
  }
};

/// Throws std::invalid_argument for sizes that cannot be.
void check(const SparseLayout& layout, const char* op);
/// Throws unless these are the bytes of such a layout in the order of this machine, and their table stays within them.
void check_packed(const std::uint8_t* packed, std::int64_t bytes, const SparseLayout& layout, const char* op);

}  // namespace fairopt::kernels
