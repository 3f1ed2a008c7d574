// The packed form of a sparse weight in bytes. docs/formats.md draws it.
//
//   [header: the order][tile table][row scales of int8, whole tiles][tile 0][tile 1] ... [slack]
//
// A tile is 64 rows: 64-bit masks, one a column, and values. With P = 4 / value_bytes values a dword there are two
// orders:
//
//   by value   A tile is one stream of blocks of 8 columns: their masks, then their values. P columns lie together, as
//              lines of 64 bytes of 16 rows each: row by row, the first column last (vpexpandw, vpexpandb: AVX-512
//              VBMI2; two columns of bfloat16 are what vdpbf16ps multiplies, the high half first). Of int8 16 bytes are
//              two columns of 4 rows and then the other two, which a vpunpck makes words of. P masks have a bit for a
//              value each, in that order; columns are filled up to whole blocks with zeros.
//   by group   Masks of all columns, then 4 / P streams of values; each 16 rows on their own. A stream has those of P
//              such groups: its dword j holds the j-th value of each, the first group in the low bits; where groups
//              hold unequal numbers the shorter end in zeros. The mask of a column has a bit a row.
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
  std::int64_t exponent;  ///< biased, of the smallest magnitude other than 0; kNoExponent where SparseDots cannot do
};

/// How rows and bits of a tile belong together, and the parts whose place does not depend on the weights.
struct SparseParts {
  bool by_value;
  int value_bytes, places, streams;  ///< values a dword; streams a tile
  int columns;                       ///< that lie together
  std::int64_t block;                ///< columns whose masks do
  int groups, lanes, step;  ///< that fill a stream at their own pace; bits of a group; bytes from value to value
  std::int64_t tiles, table, scales, first_tile;  ///< how many; where, in bytes

  SparseParts(const SparseLayout& layout, bool in_value_order)
      : by_value(in_value_order),
        value_bytes(fairopt::value_bytes(layout.type)),
        places(4 / value_bytes),
        streams(by_value ? 1 : kSparseGroups / places),
        columns(by_value ? places : 1),
        block(by_value ? kSparseBlock : layout.cols),
        groups(by_value ? 1 : kSparseGroups),
        lanes(static_cast<int>(kTileRows) / groups),
        step(by_value ? value_bytes : 4),
        tiles((layout.rows + kTileRows - 1) / kTileRows),
        table(kSparseAlignment),
        scales(aligned_up(table + tiles * static_cast<std::int64_t>(sizeof(SparseTile)))),
        first_tile(scales + (layout.type == SparseType::kInt8 ? tiles * kTileRows * 4 : 0)) {}

  int stream_of(int group) const { return by_value ? group : group / places; }
  /// Where the values of a group start in its stream, in bytes.
  int offset_of(int group) const { return by_value ? 0 : group % places * value_bytes; }
  /// Masks of a tile of `cols` columns.
  std::int64_t masks(std::int64_t cols) const {
    return by_value ? (cols + kSparseBlock - 1) / kSparseBlock * kSparseBlock : cols;
  }
  /// The bit of the masks of columns that lie together for a row of a tile and the column of them: 4 rows are together
  /// in two columns, which are together in the row.
  int bit_of(int row, int column) const {
    if (columns == 1) return row;
    return row / 4 * 4 * columns + column / 2 * 8 + row % 4 * 2 + 1 - column % 2;
  }
  /// The inverse.
  int row_of(int bit) const { return columns == 1 ? bit : bit / (4 * columns) * 4 + bit % 8 / 2; }
  int column_of(int bit) const { return columns == 1 ? 0 : bit % (4 * columns) / 8 * 2 + 1 - bit % 2; }
};

/// Throws std::invalid_argument for sizes that cannot be.
void check(const SparseLayout& layout, const char* op);
/// Throws unless these are the bytes of such a layout in the order of this machine, and their table stays within them.
void check_packed(const std::uint8_t* packed, std::int64_t bytes, const SparseLayout& layout, const char* op);

}  // namespace fairopt::kernels
