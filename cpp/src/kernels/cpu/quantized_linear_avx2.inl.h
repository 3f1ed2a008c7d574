// What quantized_linear needs of the avx2 level beyond the vector layer.

// Of 16 registers: a table takes two; a panel tile holds 12 sums, 3 activations and a weight.
constexpr int kMostDirectTokens = 2;  // more are cheaper by the panel
constexpr int kDirectTokens = 2;
constexpr int direct_rows(int) { return 2; }
constexpr int kPanelRows = 4;
constexpr int kPanelTokens = 3;

// 8 lanes of kCodes consecutive 4-bit codes each, in memory order; weight<shift> reads those at one bit position.
template <int kCodes>
inline I32 load_lanes(const std::uint8_t* p) {
  if constexpr (kCodes == 8) return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))};
  if constexpr (kCodes == 4) return {_mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
  if constexpr (kCodes == 2) return load_u8(p);
}

// The 16 weights that the codes of one block stand for: value * scale + zero.
using BlockTable = Table16;
inline BlockTable block_table(Table16 codebook, float scale, float zero) {
  const __m256 s = _mm256_set1_ps(scale), z = _mm256_set1_ps(zero);
  return {_mm256_add_ps(_mm256_mul_ps(codebook.low, s), z), _mm256_add_ps(_mm256_mul_ps(codebook.high, s), z)};
}
template <int kShift>
inline F32 weight(I32 codes, BlockTable table) {  // vpermps takes the low 3 bits of an index, bit 3 chooses the half
  const __m256i index = _mm256_srli_epi32(codes.v, kShift);
  const __m256 low = _mm256_permutevar8x32_ps(table.low, index), high = _mm256_permutevar8x32_ps(table.high, index);
  return {_mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32(codes.v, 28 - kShift)))};
}

// The sums over the lanes of four vectors: lane i + lane i + 4, then 2, then 1.
inline void sum4(F32 a, F32 b, F32 c, F32 d, float* out) {
  const __m256 ab = _mm256_add_ps(_mm256_permute2f128_ps(a.v, b.v, 0x20), _mm256_permute2f128_ps(a.v, b.v, 0x31));
  const __m256 cd = _mm256_add_ps(_mm256_permute2f128_ps(c.v, d.v, 0x20), _mm256_permute2f128_ps(c.v, d.v, 0x31));
  __m256 s = _mm256_add_ps(_mm256_shuffle_ps(ab, cd, 0x44), _mm256_shuffle_ps(ab, cd, 0xee));
  s = _mm256_add_ps(s, _mm256_permute_ps(s, 0xb1));  // a a c c | b b d d
  const __m128 ac = _mm256_castps256_ps128(s), bd = _mm256_extractf128_ps(s, 1);
  _mm_storeu_ps(out, _mm_movelh_ps(_mm_unpacklo_ps(ac, bd), _mm_unpackhi_ps(ac, bd)));
}

// Keeps the compiler from loading a value again at each of its uses, where the loads would be the limit.
inline F32 in_register(F32 a) {
  asm("" : "+x"(a.v));
  return a;
}
