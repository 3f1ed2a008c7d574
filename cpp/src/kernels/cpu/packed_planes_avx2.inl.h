// What packed_planes needs of the avx2 level beyond the vector layer.

inline I32 load_int(const std::int32_t* p) { return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))}; }
inline I32 operator*(I32 a, I32 b) { return {_mm256_mullo_epi32(a.v, b.v)}; }
inline F32 fused(F32 a, F32 b, F32 c) { return fma(a, b, c); }
inline I32 round_wide(F32 a) { return round_to_int(a); }

void unpack_panel(const std::uint8_t* codes, std::int64_t octets, const std::uint8_t* table, std::uint8_t* panel) {
  constexpr std::int64_t kQuad = kTileRows * 4;
  for (std::int64_t octet = 0; octet < octets; ++octet, codes += kQuad, panel += 2 * kQuad) {
    for (std::int64_t i = 0; i < kQuad; ++i) {
      panel[i] = table == nullptr ? codes[i] & 15 : table[codes[i] & 15];
      panel[kQuad + i] = table == nullptr ? codes[i] >> 4 : table[codes[i] >> 4];
    }
  }
}
