// pack_sparse and unpack_sparse: dense rows to tiles of masks and values, and back.
#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "kernels/huge_pages.h"
#include "kernels/require.h"
#include "kernels/sparse_layout.h"

namespace fairopt {
namespace {

using kernels::kTileRows;
using kernels::require;
using kernels::SparseParts;
using kernels::SparseTile;

constexpr std::string_view kNames[] = {"float32", "float16", "bfloat16", "int8"};

bool by_value() { return kernels::table().sparse.by_value; }

/// Values as their bits, which are 0 in all places but the sign for both zeros.
template <class Body>
auto with_bits(SparseType type, const Body& body) {
  switch (type) {
    case SparseType::kFloat32:
      return body(std::uint32_t{0x7fffffff});
    case SparseType::kInt8:
      return body(std::uint8_t{0xff});
    default:
      return body(std::uint16_t{0x7fff});
  }
}

/// A mask of a tile and the values by bit.
template <class Bits>
struct Masked {
  std::uint64_t mask = 0;
  Bits values[kTileRows] = {};
};

/// What columns [lo, hi) of the rows of a tile are in masks; lo a multiple of parts.columns.
template <class Bits>
void read_columns(const Bits* weight, const SparseLayout& layout, const SparseParts& parts, std::int64_t tile,
                  std::int64_t lo, std::int64_t hi, Bits magnitude, std::vector<Masked<Bits>>& read) {
  read.assign(static_cast<std::size_t>(parts.masks(hi - lo)), {});
  const auto rows = static_cast<int>(std::min(kTileRows, layout.rows - tile * kTileRows));
  for (int row = 0; row < rows; ++row) {
    const Bits* values = weight + (tile * kTileRows + row) * layout.cols + lo;
    for (int k = 0; k < hi - lo; ++k) {
      const auto bit = static_cast<std::size_t>(parts.bit_of(row, k % parts.columns));
      const auto first = static_cast<std::size_t>(k - k % parts.columns);
      Masked<Bits>& to = read[first + bit / kTileRows];
      to.values[bit % kTileRows] = values[k];
      to.mask |= std::uint64_t{(values[k] & magnitude) != 0} << bit % kTileRows;
    }
  }
}

/// body(i, masked) for the masks i of a tile in order.
template <class Bits, class Body>
void for_masks(const Bits* weight, const SparseLayout& layout, const SparseParts& parts, std::int64_t tile,
               Bits magnitude, const Body& body) {
  constexpr std::int64_t kAtOnce = 64;
  std::vector<Masked<Bits>> read;
  for (std::int64_t lo = 0; lo < layout.cols; lo += kAtOnce) {
    read_columns(weight, layout, parts, tile, lo, std::min(lo + kAtOnce, layout.cols), magnitude, read);
    for (std::size_t i = 0; i < read.size(); ++i) body(lo + static_cast<std::int64_t>(i), read[i]);
  }
}

/// Of the smallest magnitude other than 0, as SparseHeader has it.
std::int32_t lowest_exponent(const SparseSource& source, const SparseLayout& layout) {
  if (layout.type == SparseType::kInt8) return 127;
  if (layout.type != SparseType::kBFloat16) return kernels::kNoExponent;
  const auto* bits = static_cast<const std::uint16_t*>(source.weight);
  unsigned smallest = 0x7f80;
  for (std::int64_t i = 0; i < layout.rows * layout.cols; ++i) {
    const unsigned magnitude = bits[i] & 0x7fffu;
    smallest = std::min(smallest, magnitude == 0 ? 0x7f80u : magnitude);
  }
  return smallest < 0x80 ? kernels::kNoExponent : static_cast<std::int32_t>(smallest >> 7);
}

std::uint64_t mask_of_group(std::uint64_t mask, const SparseParts& parts, int group) {
  const std::uint64_t lanes = parts.lanes == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << parts.lanes) - 1;
  return mask >> group * parts.lanes & lanes;
}

/// Where the tiles lie, and in the last place the bytes of all.
std::vector<SparseTile> place_tiles(const SparseSource& source, const SparseLayout& layout, const SparseParts& parts,
                                    Executor& executor) {
  std::vector<SparseTile> tiles(static_cast<std::size_t>(parts.tiles + 1), SparseTile{});
  executor.parallel_for(0, parts.tiles, 1, [&](std::int64_t lo, std::int64_t hi) {
    for (std::int64_t tile = lo; tile < hi; ++tile) {
      std::int64_t values[kernels::kSparseGroups] = {};
      with_bits(layout.type, [&](auto magnitude) {
        const auto* weight = static_cast<const decltype(magnitude)*>(source.weight);
        for_masks(weight, layout, parts, tile, magnitude, [&](std::int64_t, const auto& masked) {
          for (int g = 0; g < parts.groups; ++g)
            values[g] += __builtin_popcountll(mask_of_group(masked.mask, parts, g));
        });
      });
      std::int64_t* sizes = tiles[static_cast<std::size_t>(tile)].streams;  // sizes first, places when all are known
      if (parts.by_value) sizes[0] = parts.masks(layout.cols) * 8;
      for (int g = 0; g < parts.groups; ++g) {
        std::int64_t& bytes = sizes[parts.stream_of(g)];
        const std::int64_t group = (values[g] * parts.step + 3) / 4 * 4;
        bytes = parts.by_value ? bytes + group : std::max(bytes, group);
      }
    }
  });
  std::int64_t at = parts.first_tile;
  for (SparseTile& tile : tiles) {
    tile.masks = at;
    if (!parts.by_value) at += parts.masks(layout.cols) * 8;
    for (std::int64_t& stream : tile.streams) {
      const std::int64_t bytes = stream;
      stream = at;
      at += bytes;
    }
    at = kernels::aligned_up(at);
  }
  return tiles;
}

std::int64_t bytes_of(const std::vector<SparseTile>& tiles) { return tiles.back().masks + kernels::kSparseSlack; }

template <class Bits>
void pack_tile(const Bits* weight, const SparseLayout& layout, const SparseParts& parts, std::int64_t tile,
               const SparseTile& place, Bits magnitude, std::uint8_t* packed) {
  std::uint8_t* next[kernels::kSparseGroups];
  for (int g = 0; g < parts.groups; ++g) next[g] = packed + place.streams[parts.stream_of(g)] + parts.offset_of(g);
  std::uint8_t* masks = packed + place.masks;
  for_masks(weight, layout, parts, tile, magnitude, [&](std::int64_t i, const Masked<Bits>& masked) {
    if (parts.by_value && i % parts.block == 0) masks = std::exchange(next[0], next[0] + 8 * parts.block);
    std::memcpy(masks + 8 * (i % parts.block), &masked.mask, 8);
    for (int g = 0; g < parts.groups; ++g) {
      for (std::uint64_t mask = mask_of_group(masked.mask, parts, g); mask != 0; mask &= mask - 1) {
        std::memcpy(next[g], &masked.values[g * parts.lanes + __builtin_ctzll(mask)], sizeof(Bits));
        next[g] += parts.step;
      }
    }
  });
}

template <class Bits>
void unpack_tile(const std::uint8_t* packed, const SparseTile& place, const SparseLayout& layout,
                 const SparseParts& parts, std::int64_t tile, Bits* weight) {
  std::int64_t next[kernels::kSparseGroups], end[kernels::kSparseGroups];
  for (int g = 0; g < parts.groups; ++g) {
    next[g] = place.streams[parts.stream_of(g)] + parts.offset_of(g);
    end[g] = place.streams[parts.stream_of(g) + 1];
  }
  const auto require_inside = [&](bool inside) {
    require(inside, "unpack_sparse",
            "packed must be bytes of pack_sparse, got masks that do not fit the values of tile {}", tile);
  };
  std::int64_t masks = place.masks;
  for (std::int64_t i = 0; i < parts.masks(layout.cols); ++i) {
    if (parts.by_value && i % parts.block == 0) masks = std::exchange(next[0], next[0] + 8 * parts.block);
    require_inside(!parts.by_value || next[0] <= end[0]);
    std::uint64_t bits;
    std::memcpy(&bits, packed + masks + 8 * (i % parts.block), 8);
    for (int g = 0; g < parts.groups; ++g) {
      for (std::uint64_t mask = mask_of_group(bits, parts, g); mask != 0; mask &= mask - 1) {
        const std::int64_t in_mask = i % parts.columns;
        const int bit = static_cast<int>(in_mask * kTileRows) + g * parts.lanes + __builtin_ctzll(mask);
        const std::int64_t row = tile * kTileRows + parts.row_of(bit), k = i - in_mask + parts.column_of(bit);
        require_inside(row < layout.rows && k < layout.cols && next[g] + parts.value_bytes <= end[g]);
        std::memcpy(weight + row * layout.cols + k, packed + next[g], sizeof(Bits));
        next[g] += parts.step;
      }
    }
  }
}

void check(const void* weight, const float* scales, const SparseLayout& layout, const char* op) {
  kernels::check(layout, op);
  if (layout.rows == 0) return;
  require(layout.cols == 0 || weight != nullptr, op, "weight must not be null");
  require(layout.type != SparseType::kInt8 || scales != nullptr, op, "scales must not be null for int8");
}

}  // namespace

std::string_view name(SparseType type) { return kNames[static_cast<int>(type)]; }

SparseType parse_sparse_type(std::string_view name, const char* op) {
  const auto* found = std::find(std::begin(kNames), std::end(kNames), name);
  require(found != std::end(kNames), op, "dtype must be one of float32, float16, bfloat16, int8, got {}", name);
  return static_cast<SparseType>(found - std::begin(kNames));
}

int value_bytes(SparseType type) { return type == SparseType::kFloat32 ? 4 : type == SparseType::kInt8 ? 1 : 2; }

void kernels::check(const SparseLayout& layout, const char* op) {
  constexpr std::int64_t kMost = std::int64_t{1} << 31;
  require(layout.rows >= 0 && layout.rows <= kMost, op, "rows must be in [0, {}], got {}", kMost, layout.rows);
  require(layout.cols >= 0 && layout.cols <= kMost, op, "cols must be in [0, {}], got {}", kMost, layout.cols);
}

void kernels::check_packed(const std::uint8_t* packed, std::int64_t bytes, const SparseLayout& layout, const char* op) {
  check(layout, op);
  const SparseParts parts(layout, by_value());
  const std::int64_t end = bytes - kSparseSlack;
  require(packed != nullptr && end >= parts.first_tile, op, "packed must hold {} tiles, got {} bytes", parts.tiles,
          bytes);
  SparseHeader header;
  std::memcpy(&header, packed, sizeof header);
  require(header.type == static_cast<int>(layout.type) && header.rows == layout.rows && header.cols == layout.cols, op,
          "packed must be of a weight [{}, {}] of {}, got another", layout.rows, layout.cols, name(layout.type));
  require(header.by_value == static_cast<int>(parts.by_value), op,
          "packed must be in the order of this instruction-set level, got the other");
  for (std::int64_t t = 0; t < parts.tiles; ++t) {
    SparseTile tile;
    std::memcpy(&tile, packed + parts.table + t * static_cast<std::int64_t>(sizeof tile), sizeof tile);
    bool inside = tile.masks >= parts.first_tile && tile.masks <= end;
    inside = inside && parts.masks(layout.cols) <= (end - tile.masks) / 8;
    inside = inside && tile.streams[0] >= tile.masks && tile.streams[4] <= end;
    inside = inside && std::is_sorted(std::begin(tile.streams), std::end(tile.streams));
    require(inside, op, "packed must be bytes of pack_sparse, got tile {} outside of them", t);
  }
}

std::int64_t packed_sparse_bytes(const SparseSource& source, const SparseLayout& layout, Executor& executor) {
  check(source.weight, source.scales, layout, "packed_sparse_bytes");
  return bytes_of(place_tiles(source, layout, SparseParts(layout, by_value()), executor));
}

void pack_sparse(const SparseSource& source, const SparseLayout& layout, std::uint8_t* packed, Executor& executor) {
  check(source.weight, source.scales, layout, "pack_sparse");
  require(packed != nullptr, "pack_sparse", "packed must not be null");
  const SparseParts parts(layout, by_value());
  const std::vector<SparseTile> tiles = place_tiles(source, layout, parts, executor);
  const auto bytes = static_cast<std::size_t>(bytes_of(tiles));
  kernels::prefer_huge_pages(packed, static_cast<std::int64_t>(bytes));
  std::memset(packed, 0, bytes);
  const kernels::SparseHeader header{parts.by_value, static_cast<int>(layout.type), layout.rows, layout.cols,
                                     lowest_exponent(source, layout)};
  std::memcpy(packed, &header, sizeof header);
  std::memcpy(packed + parts.table, tiles.data(), static_cast<std::size_t>(parts.tiles) * sizeof(SparseTile));
  if (layout.type == SparseType::kInt8 && layout.rows > 0) {
    std::memcpy(packed + parts.scales, source.scales, static_cast<std::size_t>(layout.rows) * sizeof(float));
  }
  executor.parallel_for(0, parts.tiles, 1, [&](std::int64_t lo, std::int64_t hi) {
    for (std::int64_t tile = lo; tile < hi; ++tile) {
      with_bits(layout.type, [&](auto magnitude) {
        const auto* weight = static_cast<const decltype(magnitude)*>(source.weight);
        pack_tile(weight, layout, parts, tile, tiles[static_cast<std::size_t>(tile)], magnitude, packed);
      });
    }
  });
}

void unpack_sparse(const std::uint8_t* packed, std::int64_t bytes, const SparseLayout& layout,
                   const SparseTarget& target, Executor& executor) {
  check(target.weight, target.scales, layout, "unpack_sparse");
  kernels::check_packed(packed, bytes, layout, "unpack_sparse");
  if (layout.rows == 0) return;
  const SparseParts parts(layout, by_value());
  if (layout.type == SparseType::kInt8) {
    std::memcpy(target.scales, packed + parts.scales, static_cast<std::size_t>(layout.rows) * sizeof(float));
  }
  if (layout.cols == 0) return;
  std::memset(target.weight, 0, static_cast<std::size_t>(layout.rows * layout.cols * parts.value_bytes));
  executor.parallel_for(0, parts.tiles, 1, [&](std::int64_t lo, std::int64_t hi) {
    for (std::int64_t t = lo; t < hi; ++t) {
      SparseTile tile;
      std::memcpy(&tile, packed + parts.table + t * static_cast<std::int64_t>(sizeof tile), sizeof tile);
      with_bits(layout.type, [&](auto magnitude) {
        unpack_tile(packed, tile, layout, parts, t, static_cast<decltype(magnitude)*>(target.weight));
      });
    }
  });
}

}  // namespace fairopt
