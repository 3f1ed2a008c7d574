// What packed_planes needs of the avx2 level beyond the vector layer.

inline I32 load_int(const std::int32_t* p) { return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))}; }
inline I32 operator*(I32 a, I32 b) { return {_mm256_mullo_epi32(a.v, b.v)}; }
inline I32 round_wide(F32 a) { return round_to_int(a); }

void unpack_panel(const std::uint8_t* codes, std::int64_t octets, const std::uint8_t* table, std::uint8_t* panel) {
  const __m256i mask = _mm256_set1_epi8(15);
  const __m256i values = _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table)));
  for (std::int64_t octet = 0; octet < octets; ++octet, codes += 4 * kTileRows, panel += 8 * kTileRows) {
    prefetch_rows(codes, 4 * kTileRows);
#pragma GCC unroll 8
    for (int v = 0; v < 8; ++v) {
      const __m256i both = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes + 32 * v));
      const __m256i low = _mm256_and_si256(both, mask), high = _mm256_and_si256(_mm256_srli_epi16(both, 4), mask);
      auto* to = reinterpret_cast<__m256i*>(panel + 32 * v);
      _mm256_storeu_si256(to, _mm256_shuffle_epi8(values, low));
      _mm256_storeu_si256(to + 8, _mm256_shuffle_epi8(values, high));
    }
  }
}

// For packed_sums_maddubs.inl.h.
constexpr int kQuadRows = 8;
constexpr int kPairRegisters = 8;  // of 16, a pass takes four vectors of two lines, or two vectors of up to six
struct Quads {
  __m256i v;
};
struct Pairs {  // 16-bit sums of pairs of columns
  __m256i v;
};
inline Quads load_quads(const std::uint8_t* p) { return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))}; }
inline Quads splat_quad(const std::int8_t* p) {
  std::int32_t quad;
  __builtin_memcpy(&quad, p, 4);
  return {_mm256_set1_epi32(quad)};
}
inline Quads low_nibbles(Quads a) { return {_mm256_and_si256(a.v, _mm256_set1_epi8(15))}; }
inline Quads high_nibbles(Quads a) { return low_nibbles({_mm256_srli_epi16(a.v, 4)}); }
inline Quads flip_top(Quads a) { return {_mm256_xor_si256(a.v, _mm256_set1_epi8(static_cast<char>(0x80)))}; }
inline Pairs no_pairs() { return {_mm256_setzero_si256()}; }
/// GCC 12 keeps the sums of the intrinsics on the stack; the register constraint holds.
[[gnu::always_inline]] inline Pairs add_pairs(Pairs acc, Quads b, Quads digits) {
  __m256i products;
  asm("vpmaddubsw %3, %2, %1\n\tvpaddw %1, %0, %0" : "+x"(acc.v), "=&x"(products) : "x"(b.v), "x"(digits.v));
  return acc;
}
template <int kFactor>
inline I32 widen(Pairs a) {
  return {_mm256_madd_epi16(a.v, _mm256_set1_epi16(kFactor))};
}
inline void store_int(std::int32_t* p, I32 a) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a.v); }
