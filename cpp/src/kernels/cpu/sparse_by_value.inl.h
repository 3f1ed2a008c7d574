// How sparse weights are read where the CPU has AVX-512 VBMI2, which expands words and bytes as they lie in memory: the
// order by value of sparse_layout.h. All of a tile is one stream.

constexpr bool kSparseByValue = true;
constexpr int kSparseRegisterGroups = kSparseGroups;  // whose sums are in registers at a time
constexpr int kSparseDirectTokens = 2;                // that a weight is multiplied with as it is expanded
constexpr int kSparseDirectTiles = 2;                 // side by side, then
constexpr int kSparseAhead = 4096;                    // bytes, into the first-level cache

/// Columns that lie together, and the steps of a chain that they are.
template <class Values>
constexpr int kSparseColumns = Values::kPlaces;
template <class Values>
constexpr int kSparseSteps = Values::kSteps;

/// How far a tile has been read.
struct SparseCursors {
  const std::uint8_t *at, *end;

  SparseCursors() = default;
  SparseCursors(const SparseLinear& a, const SparseTile& tile, int)
      : at(a.packed + tile.streams[0]), end(a.packed + tile.streams[1]) {}
  /// After a chunk: masks that promise more than there is must not lead out of the buffer.
  void stay_inside() { at = at < end ? at : end; }
};

/// 64 bytes of weights that lie together, kPlaces columns of 16 rows, and which of them are not 0.
struct SparseLine {
  I32 values;
  __mmask64 mask;
};

/// Line `i` of a block; `values` begins with those of the block, of which `taken` have been. In place, because Zen 5
/// waits for what was in the register before: sparse_expand_avx512.inl.h.
template <int kPlaces>
inline SparseLine expand_line(const std::uint8_t* masks, int i, const std::uint8_t* values, std::uint64_t& taken) {
  __m512i line = _mm512_loadu_si512(values + taken * (4 / kPlaces));
  std::uint64_t mask = 0;
  __builtin_memcpy(&mask, masks + 2 * kPlaces * i, 2 * kPlaces);
  const __mmask64 lanes = mask;
  if constexpr (kPlaces == 1) asm("vpexpandd %0, %0%{%1%}%{z%}" : "+v"(line) : "Yk"(lanes));
  if constexpr (kPlaces == 2) asm("vpexpandw %0, %0%{%1%}%{z%}" : "+v"(line) : "Yk"(lanes));
  if constexpr (kPlaces == 4) asm("vpexpandb %0, %0%{%1%}%{z%}" : "+v"(line) : "Yk"(lanes));
  taken += static_cast<std::uint64_t>(__builtin_popcountll(mask));
  return {{line}, lanes};
}

template <class Values, int kStep = 0, class Body>
[[gnu::always_inline]] inline void for_steps(const SparseLine& line, int step, int vector, const Body& body) {
  if constexpr (kStep < Values::kSteps) {
    body(step + kStep, vector, Values::template step<kStep>(line));
    for_steps<Values, kStep + 1>(line, step, vector, body);
  }
}

/// body(step, vector, weights) for the steps and vectors of a block, which fills the columns that a weight has not up
/// with zeros; the cursor moves on behind it.
template <class Values, int, int, class Body>
[[gnu::always_inline]] inline void read_columns(SparseCursors& cursors, std::int64_t, const Body& body) {
  constexpr int kLines = kTileVectors * kSparseBlock / Values::kPlaces, kValueBytes = 4 / Values::kPlaces;
  constexpr int kHalfZeros = 8 * kSparseBlock + kSparseBlock * static_cast<int>(kTileRows) * kValueBytes / 2;
  const std::uint8_t *masks = cursors.at, *values = masks + 8 * kSparseBlock;
#pragma GCC unroll 17
  for (int at = 0; at < kHalfZeros; at += 64) __builtin_prefetch(masks + kSparseAhead + at);
  std::uint64_t taken = 0;
#pragma GCC unroll 32
  for (int i = 0; i < kLines; ++i) {
    const SparseLine line = expand_line<Values::kPlaces>(masks, i, values, taken);
    for_steps<Values>(line, i / kTileVectors * Values::kSteps, i % kTileVectors, body);
    // What of x the steps of a block take would all be kept in registers for the next tile, and the sums would not.
    if (i % kTileVectors == kTileVectors - 1) asm volatile("" : : : "memory");
  }
  cursors.at = values + taken * kValueBytes;
}

struct SparseBytes {
  static constexpr int kPlaces = 4, kSteps = 4;
  template <int i>
  [[gnu::always_inline]] static F32 step(const SparseLine& line) {
    const __m512i zero = _mm512_setzero_si512();
    const I32 pair = {i < 2 ? _mm512_unpacklo_epi8(line.values.v, zero) : _mm512_unpackhi_epi8(line.values.v, zero)};
    return byte_value(i % 2 == 0 ? shift_right<16>(pair) : pair & splat(0xffff));
  }
};
