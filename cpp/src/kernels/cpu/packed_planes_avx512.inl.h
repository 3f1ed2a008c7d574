// What packed_planes needs of the avx512 levels beyond the vector layer, with and without VNNI.

inline I32 load_int(const std::int32_t* p) { return {_mm512_loadu_si512(p)}; }
inline I32 operator*(I32 a, I32 b) { return {_mm512_mullo_epi32(a.v, b.v)}; }
inline F32 fused(F32 a, F32 b, F32 c) { return fma(a, b, c); }
inline I32 round_wide(F32 a) { return round_to_int(a); }

void unpack_panel(const std::uint8_t* codes, std::int64_t octets, const std::uint8_t* table, std::uint8_t* panel) {
  const __m512i mask = _mm512_set1_epi8(15);
  const __m512i values = table == nullptr
                             ? _mm512_setzero_si512()
                             : _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table)));
  for (std::int64_t octet = 0; octet < octets; ++octet, codes += 4 * kTileRows, panel += 8 * kTileRows) {
    prefetch_stream(codes);
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) {
      const __m512i both = _mm512_loadu_si512(codes + 64 * v);
      __m512i low = _mm512_and_si512(both, mask), high = _mm512_and_si512(_mm512_srli_epi16(both, 4), mask);
      if (table != nullptr) {
        low = _mm512_shuffle_epi8(values, low);
        high = _mm512_shuffle_epi8(values, high);
      }
      _mm512_storeu_si512(panel + 64 * v, low);
      _mm512_storeu_si512(panel + 4 * kTileRows + 64 * v, high);
    }
  }
}
