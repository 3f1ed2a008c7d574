// The loops of sparse_linear, over how its values are multiplied. Rows of W run along the lanes: a mask says which
// lanes the next values of a stream go to, so there are no indices, no gathers, and nothing is added across lanes. Few
// tokens (rows of x) are multiplied as the values are expanded; for many a chunk of 64 columns is expanded into the
// cache once and multiplied there.
//
// A Values has kPlaces values a dword and
//   value<place>(dwords)   the weights of one place; where the order is by group
//   kSteps, step<i>(line)  the i-th of the words that kPlaces columns are to add_products; where it is by value

/// Words of x of a block and of a chunk.
template <class Values>
constexpr int kSparseBlockXs = kSparseBlock / kSparseColumns<Values> * kSparseSteps<Values>;
template <class Values>
constexpr std::int64_t kSparseXs = kSparseChunk / kSparseBlock * kSparseBlockXs<Values>;

template <class Values>
struct SparseChunk {
  std::int64_t columns;
  const float* x;  ///< [m][kSparseXs]
};

template <class Values>
SparseChunk<Values> sparse_chunk(const SparseLinear& a, std::int64_t first) {
  return {.columns = a.k - first < kSparseChunk ? a.k - first : kSparseChunk,
          .x = a.x + first / kSparseChunk * a.m * kSparseXs<Values>};
}

/// acc [kTiles][kTokens][64] gains the products of tiles in the rows of kGroups groups from kFirst on.
template <class Values, int kTiles, int kTokens, int kFirst, int kGroups>
[[gnu::noinline]] void add_sparse_tiles(const SparseLinear& a, const SparseTile* tiles, float* acc) {
  constexpr int kCount = kGroups * kGroupRows / F32::kWidth;
  SparseCursors at[kTiles];
#pragma GCC unroll 2
  for (int i = 0; i < kTiles; ++i) at[i] = SparseCursors(a, tiles[i], Values::kPlaces);
  acc += kFirst * kGroupRows;
  for (std::int64_t first = 0; first < a.k; first += kSparseChunk) {
    const SparseChunk<Values> chunk = sparse_chunk<Values>(a, first);
    const float* x = chunk.x;
    F32 chain[kTiles][kTokens][kCount];
#pragma GCC unroll 2
    for (int i = 0; i < kTiles; ++i) {
#pragma GCC unroll 8
      for (int t = 0; t < kTokens; ++t) {
#pragma GCC unroll 8
        for (int v = 0; v < kCount; ++v) chain[i][t][v] = splat(0.0f);
      }
    }
    for (std::int64_t left = chunk.columns; left > 0; left -= kSparseBlock) {
#pragma GCC unroll 2
      for (int i = 0; i < kTiles; ++i) {
        read_columns<Values, kFirst, kGroups>(at[i], left, [&](int step, int v, F32 w) __attribute__((always_inline)) {
#pragma GCC unroll 4
          for (int t = 0; t < kTokens; ++t) {
            chain[i][t][v] = add_products(w, splat(x[t * kSparseXs<Values> + step]), chain[i][t][v]);
          }
        });
      }
      x += kSparseBlockXs<Values>;
    }
#pragma GCC unroll 2
    for (int i = 0; i < kTiles; ++i) {
      at[i].stay_inside();
#pragma GCC unroll 8
      for (int t = 0; t < kTokens; ++t) {
#pragma GCC unroll 8
        for (int v = 0; v < kCount; ++v) {
          float* to = acc + (i * kTokens + t) * kTileRows + v * F32::kWidth;
          store(to, load(to) + chain[i][t][v]);
        }
      }
    }
  }
}

/// add_sparse_tiles for all rows of kTiles tiles and the tokens of the call, at most kTokens.
template <class Values, int kTiles, int kTokens = kSparseDirectTokens, int kFirst = 0>
void add_sparse_tokens(const SparseLinear& a, const SparseTile* tiles, float* acc) {
  if (a.m == kTokens) {
    add_sparse_tiles<Values, kTiles, kTokens, kFirst, kSparseRegisterGroups>(a, tiles, acc);
    constexpr int kNext = kFirst + kSparseRegisterGroups;
    if constexpr (kNext < kSparseGroups) add_sparse_tokens<Values, kTiles, kTokens, kNext>(a, tiles, acc);
  } else if constexpr (kTokens > 1) {
    add_sparse_tokens<Values, kTiles, kTokens - 1, kFirst>(a, tiles, acc);
  }
}

/// The columns of y that a tile holds, from its sums acc [m][64].
inline void write_sparse_tile(const SparseLinear& a, std::int64_t tile, const float* acc) {
  const std::int64_t first = tile * kTileRows, rows = a.n - first < kTileRows ? a.n - first : kTileRows;
  for (std::int64_t t = 0; t < a.m; ++t) {
    float* y = a.y + t * a.n + first;
    for (std::int64_t i = 0; i < rows; ++i) {
      const float sum = a.scales == nullptr ? acc[t * kTileRows + i] : acc[t * kTileRows + i] * a.scales[first + i];
      y[i] = a.bias == nullptr ? sum : sum + a.bias[first + i];
    }
  }
}

template <class Values, int kTiles>
void sparse_direct(const SparseLinear& a, std::int64_t lo, std::int64_t hi, float* acc) {
  for (; lo + kTiles <= hi; lo += kTiles) {
    for (std::int64_t i = 0; i < kTiles * a.m * kTileRows; ++i) acc[i] = 0.0f;
    add_sparse_tokens<Values, kTiles>(a, a.tiles + lo, acc);
    for (std::int64_t i = 0; i < kTiles; ++i) write_sparse_tile(a, lo + i, acc + i * a.m * kTileRows);
  }
  if constexpr (kTiles > 1) sparse_direct<Values, kTiles - 1>(a, lo, hi, acc);
}

/// panel [step][64 rows].
template <class Values>
[[gnu::noinline]] void expand_chunk(const SparseChunk<Values>& chunk, SparseCursors& cursors, float* panel) {
  SparseCursors at = cursors;
  for (std::int64_t left = chunk.columns; left > 0; left -= kSparseBlock) {
    read_columns<Values, 0, kSparseGroups>(at, left, [&](int step, int v, F32 w) __attribute__((always_inline)) {
      store(panel + step * kTileRows + v * F32::kWidth, w);
    });
    panel += kSparseBlockXs<Values> * kTileRows;
  }
  cursors = at;
}

/// Scales of a panel that has none.
struct SparseOnes {
  alignas(64) float values[kTileRows];
  constexpr SparseOnes() : values{} {
    for (float& value : values) value = 1.0f;
  }
};

/// All tokens with one chunk, in groups that differ by one at most: a small last group would load the panel for little.
template <class Values>
void multiply_panel(const SparseLinear& a, const SparseChunk<Values>& chunk, const float* panel, float* acc) {
  constexpr std::int64_t kColumns = kSparseColumns<Values>;
  const std::int64_t steps = (chunk.columns + kColumns - 1) / kColumns * kSparseSteps<Values>;
  static constexpr SparseOnes kOnes;
  std::int64_t token = 0;
  for (std::int64_t groups = (a.m + kExactPanelTokens - 1) / kExactPanelTokens; groups > 0; --groups) {
    const std::int64_t size = (a.m - token + groups - 1) / groups;
    const float* x = chunk.x + token * kSparseXs<Values>;
    const float* ahead = x + size * kSparseXs<Values>;
    add_tokens(size, panel, steps, x, kSparseXs<Values>, kOnes.values, ahead, acc + token * kTileRows);
    token += size;
  }
}

template <class Values>
void sparse_panel(const SparseLinear& a, std::int64_t lo, std::int64_t hi, float* scratch) {
  const std::int64_t chunks = (a.k + kSparseChunk - 1) / kSparseChunk;
  const std::int64_t fitting = kActivationsAtOnce / (a.m * kSparseXs<Values>), at_once = fitting > 0 ? fitting : 1;
  const std::int64_t sums_of_tile = a.m * kTileRows;
  float *panel = scratch, *acc = panel + kPanelFloats;
  for (; lo < hi; lo += kTilesAtOnce) {
    const std::int64_t tiles = hi - lo < kTilesAtOnce ? hi - lo : kTilesAtOnce;
    for (std::int64_t i = 0; i < tiles * sums_of_tile; ++i) acc[i] = 0.0f;
    SparseCursors cursors[kTilesAtOnce];
    for (std::int64_t i = 0; i < tiles; ++i) cursors[i] = SparseCursors(a, a.tiles[lo + i], Values::kPlaces);
    for (std::int64_t first = 0; first < chunks; first += at_once) {
      const std::int64_t end = chunks - first < at_once ? chunks : first + at_once;
      for (std::int64_t i = 0; i < tiles; ++i) {
        for (std::int64_t chunk = first; chunk < end; ++chunk) {
          const auto at = sparse_chunk<Values>(a, chunk * kSparseChunk);
          expand_chunk<Values>(at, cursors[i], panel);
          cursors[i].stay_inside();
          multiply_panel<Values>(a, at, panel, acc + i * sums_of_tile);
        }
      }
    }
    for (std::int64_t i = 0; i < tiles; ++i) write_sparse_tile(a, lo + i, acc + i * sums_of_tile);
  }
}

template <class Values>
void sparse_range(const SparseLinear& a, std::int64_t lo, std::int64_t hi, float* scratch) {
  if (a.m <= kSparseDirectTokens) return sparse_direct<Values, kSparseDirectTiles>(a, lo, hi, scratch);
  sparse_panel<Values>(a, lo, hi, scratch);
}
