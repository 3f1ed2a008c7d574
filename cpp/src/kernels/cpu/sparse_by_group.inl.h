// How sparse weights are read where the CPU expands dwords at best: the order by group of sparse_layout.h.

constexpr bool kSparseByValue = false;
constexpr int kSparseAhead = 16384;  // bytes, into the second-level cache
constexpr int kGroupVectors = kGroupRows / F32::kWidth;

/// Columns that lie together, and the steps of a chain that they are.
template <class Values>
constexpr int kSparseColumns = 1;
template <class Values>
constexpr int kSparseSteps = 1;

/// How far the masks and the groups of a tile have been read; each group advances at its own pace.
struct SparseCursors {
  const std::uint8_t* masks;
  const std::uint8_t* at[kSparseGroups];
  const std::uint8_t* end[kSparseGroups];

  SparseCursors() = default;
  SparseCursors(const SparseLinear& a, const SparseTile& tile, int places) : masks(a.packed + tile.masks) {
    for (int g = 0; g < kSparseGroups; ++g) {
      const int stream = g / places;
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

/// The masks of a block and what they stand for where half is zeros, some lines ahead.
template <class Values>
[[gnu::always_inline]] inline void prefetch_sparse(const SparseCursors& cursors) {
  __builtin_prefetch(cursors.masks + kSparseAhead, 0, 2);
  constexpr int kStreams = kSparseGroups / Values::kPlaces;
#pragma GCC unroll 4
  for (int stream = 0; stream < kStreams; ++stream) {
    const std::uint8_t* at = cursors.at[stream * Values::kPlaces] + kSparseAhead;
#pragma GCC unroll 16
    for (int line = 0; line < 16 / Values::kPlaces / kStreams; ++line) __builtin_prefetch(at + 64 * line, 0, 2);
  }
}

template <class Values, int kFirst, int kCount, int kVector = 0, class Body>
[[gnu::always_inline]] inline void read_column(SparseCursors& cursors, int step, const Body& body) {
  if constexpr (kVector < kCount) {
    constexpr int kGroup = kFirst + kVector / kGroupVectors;
    std::uint16_t group;
    __builtin_memcpy(&group, cursors.masks + 2 * kGroup, 2);
    const std::uint32_t lanes = group >> kVector % kGroupVectors * F32::kWidth & ((1u << F32::kWidth) - 1);
    const I32 dwords = expand(lanes, cursors.at[kGroup]);
    body(step, kVector, Values::template value<kGroup % Values::kPlaces>(dwords));
    read_column<Values, kFirst, kCount, kVector + 1>(cursors, step, body);
  } else {
    cursors.masks += 8;
    // Where registers are few the next columns would be expanded ahead, and the sums would lose theirs.
    if constexpr (F32::kWidth < 16) asm volatile("" : : : "memory");
  }
}

/// body(step, vector, weights) for a block, or the columns that are left of it, and the vectors of kGroups groups from
/// kFirst on; cursors move on behind it.
template <class Values, int kFirst, int kGroups, class Body>
[[gnu::always_inline]] inline void read_columns(SparseCursors& cursors, std::int64_t columns, const Body& body) {
  constexpr int kCount = kGroups * kGroupVectors;
  if (columns < kSparseBlock) {
    for (int step = 0; step < columns; ++step) read_column<Values, kFirst, kCount>(cursors, step, body);
    return;
  }
  prefetch_sparse<Values>(cursors);
#pragma GCC unroll kSparseUnroll
  for (int step = 0; step < kSparseBlock; ++step) read_column<Values, kFirst, kCount>(cursors, step, body);
}

struct SparseBytes {
  static constexpr int kPlaces = 4;
  template <int place>
  static F32 value(I32 dwords) {
    I32 byte = dwords;
    if constexpr (place > 0) byte = shift_right<8 * place>(byte);
    if constexpr (place < 3) byte = byte & splat(0xff);
    return byte_value(byte);
  }
};
