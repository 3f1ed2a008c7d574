// What packed_planes needs of the avx512 levels beyond the vector layer, with and without VNNI.

inline I32 load_int(const std::int32_t* p) { return {_mm512_loadu_si512(p)}; }
inline I32 operator*(I32 a, I32 b) { return {_mm512_mullo_epi32(a.v, b.v)}; }
inline I32 round_wide(F32 a) { return round_to_int(a); }

void unpack_panel(const std::uint8_t* codes, std::int64_t octets, const std::uint8_t* table, std::uint8_t* panel) {
  const __m512i mask = _mm512_set1_epi8(15);
  const __m512i values = _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table)));
  for (std::int64_t octet = 0; octet < octets; ++octet, codes += 4 * kTileRows, panel += 8 * kTileRows) {
    prefetch_rows(codes, 4 * kTileRows);
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) {
      const __m512i both = _mm512_loadu_si512(codes + 64 * v);
      const __m512i low = _mm512_and_si512(both, mask), high = _mm512_and_si512(_mm512_srli_epi16(both, 4), mask);
      _mm512_storeu_si512(panel + 64 * v, _mm512_shuffle_epi8(values, low));
      _mm512_storeu_si512(panel + 4 * kTileRows + 64 * v, _mm512_shuffle_epi8(values, high));
    }
  }
}

// For packed_sums_maddubs.inl.h.
constexpr int kQuadRows = 16;
constexpr int kPairRegisters = 24;
struct Quads {
  __m512i v;
};
struct Pairs {  // 16-bit sums of pairs of columns
  __m512i v;
};
inline Quads load_quads(const std::uint8_t* p) { return {_mm512_loadu_si512(p)}; }
inline Quads splat_quad(const std::int8_t* p) {
  std::int32_t quad;
  __builtin_memcpy(&quad, p, 4);
  return {_mm512_set1_epi32(quad)};
}
inline Quads low_nibbles(Quads a) { return {_mm512_and_si512(a.v, _mm512_set1_epi8(15))}; }
inline Quads high_nibbles(Quads a) { return low_nibbles({_mm512_srli_epi16(a.v, 4)}); }
inline Quads flip_top(Quads a) { return {_mm512_xor_si512(a.v, _mm512_set1_epi8(static_cast<char>(0x80)))}; }
inline Pairs no_pairs() { return {_mm512_setzero_si512()}; }
/// GCC 12 keeps the sums of the intrinsics on the stack; the register constraint holds.
[[gnu::always_inline]] inline Pairs add_pairs(Pairs acc, Quads b, Quads digits) {
  __m512i products;
  asm("vpmaddubsw %3, %2, %1\n\tvpaddw %1, %0, %0" : "+v"(acc.v), "=&v"(products) : "v"(b.v), "v"(digits.v));
  return acc;
}
template <int kFactor>
inline I32 widen(Pairs a) {
  return {_mm512_madd_epi16(a.v, _mm512_set1_epi16(kFactor))};
}
inline void store_int(std::int32_t* p, I32 a) { _mm512_storeu_si512(p, a.v); }
