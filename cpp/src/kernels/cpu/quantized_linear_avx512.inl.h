// What quantized_linear needs of the avx512 levels beyond the vector layer.

// Of 32 registers: 8 rows keep codes, table and sum; a panel tile holds 24 sums, 3 activations and a weight.
constexpr int kMostDirectTokens = 16;  // more are cheaper by the panel
constexpr int kDirectTokens = 4;
constexpr int direct_rows(int tokens) { return tokens == 1 ? 8 : 4; }
constexpr int kPanelRows = 8;
constexpr int kPanelTokens = 3;

// 16 lanes of kCodes consecutive 4-bit codes each, in memory order; weight<shift> reads those at one bit position.
template <int kCodes>
inline I32 load_lanes(const std::uint8_t* p) {
  if constexpr (kCodes == 8) return {_mm512_loadu_si512(p)};
  if constexpr (kCodes == 4) return {_mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
  if constexpr (kCodes == 2) return load_u8(p);
  if constexpr (kCodes == 1) return load_nibbles(p);
}

// The 16 weights that the codes of one block stand for: value * scale + zero.
struct BlockTable {
  __m512 v;
};
inline BlockTable block_table(Table16 codebook, float scale, float zero) {
  return {_mm512_add_ps(_mm512_mul_ps(codebook.v, _mm512_set1_ps(scale)), _mm512_set1_ps(zero))};
}
template <int kShift>
inline F32 weight(I32 codes, BlockTable table) {  // vpermps takes the low 4 bits of an index: no mask
  const __m512i index = kShift == 0 ? codes.v : _mm512_srli_epi32(codes.v, kShift);
  return {_mm512_permutexvar_ps(index, table.v)};
}

// The sums over the lanes of four vectors: each is halved three times, lane i + lane i + 8, 4, 2 and 1.
inline void sum4(F32 a, F32 b, F32 c, F32 d, float* out) {
  const __m512 ab = _mm512_add_ps(_mm512_shuffle_f32x4(a.v, b.v, 0x44), _mm512_shuffle_f32x4(a.v, b.v, 0xee));
  const __m512 cd = _mm512_add_ps(_mm512_shuffle_f32x4(c.v, d.v, 0x44), _mm512_shuffle_f32x4(c.v, d.v, 0xee));
  __m512 s = _mm512_add_ps(_mm512_shuffle_f32x4(ab, cd, 0x88), _mm512_shuffle_f32x4(ab, cd, 0xdd));
  s = _mm512_add_ps(s, _mm512_permute_ps(s, 0x4e));
  s = _mm512_add_ps(s, _mm512_permute_ps(s, 0xb1));
  _mm_storeu_ps(out, _mm512_castps512_ps128(_mm512_maskz_compress_ps(0x1111, s)));
}

// Keeps the compiler from loading a value again at each of its uses, where the loads would be the limit.
inline F32 in_register(F32 a) {
  asm("" : "+v"(a.v));
  return a;
}
