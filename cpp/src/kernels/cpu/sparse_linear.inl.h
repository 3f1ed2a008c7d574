// y = x W^T + bias with a sparse W. Rows of W run along the lanes: a mask says which lanes the next values of a stream
// go to, so there are no indices, no gathers, and nothing is added across lanes. Few tokens (rows of x) are multiplied
// as the values are expanded; for many a chunk of 64 columns is expanded into the cache once and multiplied by the loop
// of panel_product.inl.h.
//
// The contract. A chunk of 64 columns is one chain from 0 in ascending columns, chain = fma(weight, x, chain), zeros of
// W included; acc = acc + chain, chunks ascending; then the scale of the row for int8, then the bias. So the bits of an
// output depend on its row of x and of W alone; levels with a fused fma agree, the baseline rounds products first.

constexpr int kGroupVectors = kGroupRows / F32::kWidth;
constexpr int kSparsePrefetch = 16384;  // bytes ahead, into the second-level cache

struct SparseFloats {
  static constexpr int kPlaces = 1;  // values a dword
  template <int place>
  static F32 value(I32 dwords) {
    return as_float(dwords);
  }
};

struct SparseBFloats {
  static constexpr int kPlaces = 2;
  template <int place>
  static F32 value(I32 dwords) {
    if constexpr (place == 0) return as_float(shift_left<16>(dwords));
    return as_float(dwords & splat(static_cast<std::int32_t>(0xffff0000)));
  }
};

struct SparseHalves {
  static constexpr int kPlaces = 2;
  template <int place>
  static F32 value(I32 dwords) {  // rescaling the exponent is exact for subnormals too
    const I32 high = place == 0 ? shift_left<16>(dwords) : dwords;
    const I32 magnitude = shift_right<3>(high & splat(0x7fff0000));
    const I32 finite = as_int(as_float(magnitude) * splat(0x1p112f));
    const I32 special = magnitude + splat(0x70000000);  // infinity and NaN: exponent 31 becomes 255
    const I32 bits = select(magnitude > splat(0x0f7fffff), special, finite);
    return as_float(bits | (high & splat(static_cast<std::int32_t>(0x80000000))));
  }
};

struct SparseBytes {
  static constexpr int kPlaces = 4;
  template <int place>
  static F32 value(I32 dwords) {  // the last places of 2^23 + 128 + code, two's complement turned around
    I32 byte = dwords;
    if constexpr (place > 0) byte = shift_right<8 * place>(byte);
    if constexpr (place < 3) byte = byte & splat(0xff);
    return as_float(byte ^ splat(0x4b000080)) - splat(8388736.0f);
  }
};

/// How far the streams of a tile have been read: a cursor for each group of rows that advances at its own pace.
struct SparseCursors {
  const std::uint8_t* at[kSparseGroups];
  const std::uint8_t* end[kSparseGroups];

  SparseCursors() = default;
  SparseCursors(const SparseLinear& a, const SparseTile& tile, int places) {
    for (int g = 0; g < kSparseGroups; ++g) {
      const int stream = kSparseByValue ? g : g / places;
      at[g] = a.packed + tile.streams[stream];
      end[g] = a.packed + tile.streams[stream + 1];
    }
  }
  /// After a chunk: masks that promise more than a stream holds must not lead out of the buffer.
  void stay_inside() {
    for (int g = 0; g < kSparseGroups; ++g) {
      const std::uint8_t* next = at[g] < end[g] ? at[g] : end[g];
      asm("" : "+r"(next));  // or all are compared in a vector, through the stack
      at[g] = next;
    }
  }
};

struct SparseChunk {
  const std::uint8_t* masks;  ///< [columns][8]
  std::int64_t columns;
  const float* x;  ///< [m][kSparseChunk]
};

/// The masks of some columns and what they stand for, some lines ahead.
template <class Values>
[[gnu::always_inline]] inline void prefetch_sparse(const std::uint8_t* masks, const SparseCursors& cursors) {
  __builtin_prefetch(masks + kSparsePrefetch, 0, 2);
#pragma GCC unroll 4
  for (int stream = 0; stream < kSparseGroups / Values::kPlaces; ++stream) {
    const std::uint8_t* at = cursors.at[kSparseByValue ? stream : stream * Values::kPlaces];
#pragma GCC unroll 4
    for (int line = 0; line < 4; ++line) __builtin_prefetch(at + kSparsePrefetch + 64 * line, 0, 2);
  }
}

template <int i>
struct Index {
  static constexpr int value = i;
};

template <class Values, int kVector, int kPlace = 0, class Body>
[[gnu::always_inline]] inline void for_places(I32 line, const Body& body) {
  if constexpr (kPlace < Values::kPlaces) {
    body(Index<kVector + kPlace>(), Values::template value<kPlace>(line));
    for_places<Values, kVector, kPlace + 1>(line, body);
  }
}

/// body(Index<v>, weights) for the vectors v of one column, kCount of them from the group kFirst on; cursors move on.
template <class Values, int kFirst, int kCount, int kVector = 0, class Body>
[[gnu::always_inline]] inline void for_column(const std::uint8_t* masks, SparseCursors& cursors, const Body& body) {
  if constexpr (kVector < kCount && kSparseByValue) {
    constexpr int kStream = kVector / Values::kPlaces;
    for_places<Values, kVector>(expand_values<Values::kPlaces>(masks, kStream, cursors.at[kStream]), body);
    for_column<Values, kFirst, kCount, kVector + Values::kPlaces>(masks, cursors, body);
  } else if constexpr (kVector < kCount) {
    constexpr int kGroup = kFirst + kVector / kGroupVectors;
    std::uint16_t group;
    __builtin_memcpy(&group, masks + 2 * kGroup, 2);
    const std::uint32_t lanes = group >> kVector % kGroupVectors * F32::kWidth & ((1u << F32::kWidth) - 1);
    const I32 dwords = expand(lanes, cursors.at[kGroup]);
    body(Index<kVector>(), Values::template value<kGroup % Values::kPlaces>(dwords));
    for_column<Values, kFirst, kCount, kVector + 1>(masks, cursors, body);
  }
}

inline SparseChunk sparse_chunk(const SparseLinear& a, const SparseTile& tile, std::int64_t first) {
  return {.masks = a.packed + tile.masks + 8 * first,
          .columns = a.k - first < kSparseChunk ? a.k - first : kSparseChunk,
          .x = a.x + first * a.m};
}

/// acc [kTokens][64] gains the product of a tile in the rows of kGroups groups from kFirst on.
template <class Values, int kTokens, int kFirst, int kGroups>
[[gnu::noinline]] void add_sparse_tile(const SparseLinear& a, const SparseTile& tile, float* acc) {
  constexpr int kCount = kGroups * kGroupVectors;
  SparseCursors at(a, tile, Values::kPlaces);
  acc += kFirst * kGroupRows;
  for (std::int64_t first = 0; first < a.k; first += kSparseChunk) {
    SparseChunk chunk = sparse_chunk(a, tile, first);
    F32 chain[kTokens][kCount];
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t) {
#pragma GCC unroll 8
      for (int v = 0; v < kCount; ++v) chain[t][v] = splat(0.0f);
    }
    const auto add_column = [&]() __attribute__((always_inline)) {
      for_column<Values, kFirst, kCount>(chunk.masks, at, [&](auto v, F32 w) __attribute__((always_inline)) {
#pragma GCC unroll 4
        for (int t = 0; t < kTokens; ++t) {
          chain[t][v.value] = fma(w, splat(chunk.x[t * kSparseChunk]), chain[t][v.value]);
        }
      });
      chunk.masks += 8;
      ++chunk.x;
      // Where registers are few the next columns would be expanded ahead, and the sums would lose theirs.
      if constexpr (F32::kWidth < 16) asm volatile("" : : : "memory");
    };
    for (; chunk.columns >= 8; chunk.columns -= 8) {
      prefetch_sparse<Values>(chunk.masks, at);
#pragma GCC unroll kSparseUnroll
      for (int i = 0; i < 8; ++i) add_column();
    }
    for (; chunk.columns > 0; --chunk.columns) add_column();
    at.stay_inside();
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t) {
#pragma GCC unroll 8
      for (int v = 0; v < kCount; ++v) {
        float* to = acc + t * kTileRows + v * F32::kWidth;
        store(to, load(to) + chain[t][v]);
      }
    }
  }
}

/// add_sparse_tile for all rows of a tile and the tokens of the call, at most kTokens.
template <class Values, int kTokens = kSparseDirectTokens, int kFirst = 0>
void add_sparse_tokens(const SparseLinear& a, const SparseTile& tile, float* acc) {
  if (a.m == kTokens) {
    add_sparse_tile<Values, kTokens, kFirst, kSparseRegisterGroups>(a, tile, acc);
    constexpr int kNext = kFirst + kSparseRegisterGroups;
    if constexpr (kNext < kSparseGroups) add_sparse_tokens<Values, kTokens, kNext>(a, tile, acc);
  } else if constexpr (kTokens > 1) {
    add_sparse_tokens<Values, kTokens - 1, kFirst>(a, tile, acc);
  }
}

/// panel [column][64 rows].
template <class Values>
[[gnu::noinline]] void expand_chunk(const SparseChunk& chunk, SparseCursors& cursors, float* panel) {
  SparseCursors at = cursors;
  for (std::int64_t k = 0; k < chunk.columns; ++k, panel += kTileRows) {
    for_column<Values, 0, kTileVectors>(chunk.masks + 8 * k, at, [&](auto v, F32 w) __attribute__((always_inline)) {
      store(panel + v.value * F32::kWidth, w);
    });
  }
  cursors = at;
}

/// The columns of y that a tile holds, from its sums acc [m][64].
void write_sparse_tile(const SparseLinear& a, std::int64_t tile, const float* acc) {
  const std::int64_t first = tile * kTileRows, rows = a.n - first < kTileRows ? a.n - first : kTileRows;
  for (std::int64_t t = 0; t < a.m; ++t) {
    float* y = a.y + t * a.n + first;
    for (std::int64_t i = 0; i < rows; ++i) {
      const float sum = a.scales == nullptr ? acc[t * kTileRows + i] : acc[t * kTileRows + i] * a.scales[first + i];
      y[i] = a.bias == nullptr ? sum : sum + a.bias[first + i];
    }
  }
}

template <class Values>
void sparse_direct(const SparseLinear& a, std::int64_t lo, std::int64_t hi, float* acc) {
  for (; lo < hi; ++lo) {
    for (std::int64_t i = 0; i < a.m * kTileRows; ++i) acc[i] = 0.0f;
    add_sparse_tokens<Values>(a, a.tiles[lo], acc);
    write_sparse_tile(a, lo, acc);
  }
}

/// All tokens with one chunk, in groups that differ by one at most: a small last group would load the panel for little.
inline void multiply_panel(const SparseLinear& a, const SparseChunk& chunk, const float* ones, const float* panel,
                           float* acc) {
  std::int64_t token = 0;
  for (std::int64_t groups = (a.m + kExactPanelTokens - 1) / kExactPanelTokens; groups > 0; --groups) {
    const std::int64_t size = (a.m - token + groups - 1) / groups;
    const float* x = chunk.x + token * kSparseChunk;
    const float* ahead = x + size * kSparseChunk;
    add_tokens(size, panel, chunk.columns, x, kSparseChunk, ones, ahead, acc + token * kTileRows);
    token += size;
  }
}

template <class Values>
void sparse_panel(const SparseLinear& a, std::int64_t lo, std::int64_t hi, float* scratch) {
  const std::int64_t chunks = (a.k + kSparseChunk - 1) / kSparseChunk;
  const std::int64_t fitting = kActivationsAtOnce / (a.m * kSparseChunk), at_once = fitting > 0 ? fitting : 1;
  const std::int64_t sums_of_tile = a.m * kTileRows;
  float *panel = scratch, *ones = panel + kPanelFloats, *acc = ones + kTileRows;
  for (std::int64_t i = 0; i < kTileRows; ++i) ones[i] = 1.0f;
  for (; lo < hi; lo += kTilesAtOnce) {
    const std::int64_t tiles = hi - lo < kTilesAtOnce ? hi - lo : kTilesAtOnce;
    for (std::int64_t i = 0; i < tiles * sums_of_tile; ++i) acc[i] = 0.0f;
    SparseCursors cursors[kTilesAtOnce];
    for (std::int64_t i = 0; i < tiles; ++i) cursors[i] = SparseCursors(a, a.tiles[lo + i], Values::kPlaces);
    for (std::int64_t first = 0; first < chunks; first += at_once) {
      const std::int64_t end = chunks - first < at_once ? chunks : first + at_once;
      for (std::int64_t i = 0; i < tiles; ++i) {
        for (std::int64_t chunk = first; chunk < end; ++chunk) {
          const SparseChunk at = sparse_chunk(a, a.tiles[lo + i], chunk * kSparseChunk);
          expand_chunk<Values>(at, cursors[i], panel);
          cursors[i].stay_inside();
          multiply_panel(a, at, ones, panel, acc + i * sums_of_tile);
        }
      }
    }
    for (std::int64_t i = 0; i < tiles; ++i) write_sparse_tile(a, lo + i, acc + i * sums_of_tile);
  }
}

template <class Values>
void sparse_range(const SparseLinear& a, std::int64_t lo, std::int64_t hi, float* scratch) {
  if (a.m <= kSparseDirectTokens) return sparse_direct<Values>(a, lo, hi, scratch);
  sparse_panel<Values>(a, lo, hi, scratch);
}

std::int64_t sparse_linear_scratch(const SparseLinear& a) {
  return kPanelFloats + kTileRows + kTilesAtOnce * a.m * kTileRows;
}

void sparse_linear(const SparseLinear& a, std::int64_t lo, std::int64_t hi, float* scratch) {
  if (a.value_bytes == 4) return sparse_range<SparseFloats>(a, lo, hi, scratch);
  if (a.value_bytes == 1) return sparse_range<SparseBytes>(a, lo, hi, scratch);
  if (a.half) return sparse_range<SparseHalves>(a, lo, hi, scratch);
  sparse_range<SparseBFloats>(a, lo, hi, scratch);
}
