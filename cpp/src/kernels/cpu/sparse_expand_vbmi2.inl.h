// What sparse_linear needs where the CPU has AVX-512 VBMI2: words and bytes are expanded as they are.

constexpr bool kSparseByValue = true;
constexpr int kSparseRegisterGroups = kSparseGroups;  // whose sums are in registers at a time
constexpr int kSparseDirectTokens = 2;                // that a weight is multiplied with as it is expanded
constexpr int kSparseDirectTiles = 2;                 // side by side, then
constexpr int kSparseUnroll = 8;                      // columns
constexpr int kSparseMasksAhead = 4096, kSparseValuesAhead = 8192;  // bytes, into the second-level cache

/// 64 bytes of the weights that lie together, zeros included: kPlaces columns of 16 rows. In place:
/// sparse_expand_avx512.inl.h says why.
template <int kPlaces>
inline I32 expand_values(const std::uint8_t* masks, int vector, const std::uint8_t*& p) {
  __m512i values = _mm512_loadu_si512(p);
  if constexpr (kPlaces == 1) {
    std::uint16_t mask;
    __builtin_memcpy(&mask, masks + 2 * vector, 2);
    asm("vpexpandd %0, %0%{%1%}%{z%}" : "+v"(values) : "Yk"(static_cast<__mmask16>(mask)));
    p += 4 * static_cast<std::uint64_t>(__builtin_popcount(mask));
  } else if constexpr (kPlaces == 2) {
    std::uint32_t mask;
    __builtin_memcpy(&mask, masks + 4 * vector, 4);
    asm("vpexpandw %0, %0%{%1%}%{z%}" : "+v"(values) : "Yk"(static_cast<__mmask32>(mask)));
    p += 2 * static_cast<std::uint64_t>(__builtin_popcount(mask));
  } else {
    std::uint64_t mask;
    __builtin_memcpy(&mask, masks + 8 * vector, 8);
    asm("vpexpandb %0, %0%{%1%}%{z%}" : "+v"(values) : "Yk"(static_cast<__mmask64>(mask)));
    p += __builtin_popcountll(mask);
  }
  return {values};
}

template <int = 0>
I32 expand(std::uint32_t mask, const std::uint8_t*& p);  // only where the order is by group
