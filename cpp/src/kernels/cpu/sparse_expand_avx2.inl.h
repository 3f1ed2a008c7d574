// What sparse_by_group.inl.h needs of the avx2 level beyond the vector layer.

constexpr int kSparseRegisterGroups = 2;  // whose sums are in registers at a time
constexpr int kSparseDirectTokens = 1;    // that a weight is multiplied with as it is expanded
constexpr int kSparseDirectTiles = 1;     // side by side, then
constexpr int kSparseUnroll = 8;          // columns

/// For each mask of 8 lanes which of the next dwords a lane takes; -1: none.
struct ExpandTable {
  alignas(32) std::int32_t from[256][8];
  constexpr ExpandTable() : from{} {
    for (int mask = 0; mask < 256; ++mask) {
      int next = 0;
      for (int lane = 0; lane < 8; ++lane) from[mask][lane] = mask >> lane & 1 ? next++ : -1;
    }
  }
};

/// The next dwords of a stream in the lanes of `mask`, zeros in the others; p moves on behind them.
inline I32 expand(std::uint32_t mask, const std::uint8_t*& p) {
  static constexpr ExpandTable kTable;
  const __m256i from = _mm256_load_si256(reinterpret_cast<const __m256i*>(kTable.from[mask]));
  const __m256i dwords = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  p += 4 * static_cast<std::uint64_t>(__builtin_popcount(mask));
  return {_mm256_andnot_si256(_mm256_srai_epi32(from, 31), _mm256_permutevar8x32_epi32(dwords, from))};
}
