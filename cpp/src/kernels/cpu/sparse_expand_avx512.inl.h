// What sparse_by_group.inl.h needs of the avx512 levels beyond the vector layer.

constexpr int kSparseRegisterGroups = kSparseGroups;  // whose sums are in registers at a time
constexpr int kSparseDirectTokens = 2;                // that a weight is multiplied with as it is expanded
constexpr int kSparseDirectTiles = 1;                 // side by side, then
constexpr int kSparseUnroll = 8;                      // columns

/// The next dwords of a stream in the lanes of `mask`, zeros in the others; p moves on behind them. In place, because
/// Zen 5 waits for what was in the register before: compilers choose a sum, and the loop takes twice as long.
inline I32 expand(std::uint32_t mask, const std::uint8_t*& p) {
  __m512i dwords = _mm512_loadu_si512(p);
  asm("vpexpandd %0, %0%{%1%}%{z%}" : "+v"(dwords) : "Yk"(static_cast<__mmask16>(mask)));
  p += 4 * static_cast<std::uint64_t>(__builtin_popcount(mask));
  return {dwords};
}
