// Vector layer of the avx512 levels: sixteen lanes. Included inside an anonymous namespace; see vec.inl.h.

#include "kernels/cpu/bit_windows.inl.h"

struct F32 {
  static constexpr int kWidth = 16;
  __m512 v;
};
struct I32 {
  __m512i v;
};
struct Mask {  // a bit a lane
  __mmask16 v;
};

inline I32 as_int(F32 a) { return {_mm512_castps_si512(a.v)}; }
inline F32 as_float(I32 a) { return {_mm512_castsi512_ps(a.v)}; }

inline F32 splat(float a) { return {_mm512_set1_ps(a)}; }
inline I32 splat(std::int32_t a) { return {_mm512_set1_epi32(a)}; }
inline I32 lane_indices() { return {_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)}; }

inline F32 load(const float* p) { return {_mm512_loadu_ps(p)}; }
inline void store(float* p, F32 a) { _mm512_storeu_ps(p, a.v); }

inline F32 operator+(F32 a, F32 b) { return {_mm512_add_ps(a.v, b.v)}; }
inline F32 operator-(F32 a, F32 b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline F32 operator*(F32 a, F32 b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline F32 operator/(F32 a, F32 b) { return {_mm512_div_ps(a.v, b.v)}; }
inline I32 operator+(I32 a, I32 b) { return {_mm512_add_epi32(a.v, b.v)}; }
inline I32 operator-(I32 a, I32 b) { return {_mm512_sub_epi32(a.v, b.v)}; }
inline I32 operator&(I32 a, I32 b) { return {_mm512_and_si512(a.v, b.v)}; }
inline I32 operator|(I32 a, I32 b) { return {_mm512_or_si512(a.v, b.v)}; }
inline I32 operator^(I32 a, I32 b) { return {_mm512_xor_si512(a.v, b.v)}; }
template <int kBits>
inline I32 shift_left(I32 a) {
  return {_mm512_slli_epi32(a.v, kBits)};
}
template <int kBits>
inline I32 shift_right(I32 a) {  // logical: zeros come in
  return {_mm512_srli_epi32(a.v, kBits)};
}
template <int kBits>
inline I32 shift_right_signed(I32 a) {  // copies of the sign come in
  return {_mm512_srai_epi32(a.v, kBits)};
}

inline Mask operator>(F32 a, F32 b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ)}; }
inline Mask operator>(I32 a, I32 b) { return {_mm512_cmpgt_epi32_mask(a.v, b.v)}; }
inline Mask operator==(I32 a, I32 b) { return {_mm512_cmpeq_epi32_mask(a.v, b.v)}; }
inline Mask operator&(Mask a, Mask b) { return {static_cast<__mmask16>(a.v & b.v)}; }
inline I32 select(Mask m, I32 yes, I32 no) { return {_mm512_mask_mov_epi32(no.v, m.v, yes.v)}; }
inline F32 select(Mask m, F32 yes, F32 no) { return {_mm512_mask_mov_ps(no.v, m.v, yes.v)}; }
inline I32 increment(I32 a, Mask where) { return {_mm512_mask_add_epi32(a.v, where.v, a.v, _mm512_set1_epi32(1))}; }
// GCC 12 may widen a mask to 64 bits by a store of its 16 to the stack, and then read 64: it must pass a register.
inline unsigned lane_bits(Mask m) {
  unsigned bits;
  asm("kmovw %1, %0" : "=r"(bits) : "k"(m.v));
  return bits;
}
inline void store_lane_bits(std::uint64_t* words, int place, Mask m) {  // the bits of vector `place` of many
  _store_mask16(reinterpret_cast<__mmask16*>(words) + place, m.v);
}
inline int count(Mask m) { return __builtin_popcount(m.v); }

inline int store_where(std::int32_t* p, Mask m, I32 a) {          // packs the chosen lanes; may write all lanes' room
  _mm512_storeu_si512(p, _mm512_maskz_compress_epi32(m.v, a.v));  // compressing into memory is microcoded on Zen 4
  return count(m);
}

inline void store_bits(std::uint8_t* p, std::uint64_t bits) {  // 64 bytes of 0 or 1
  _mm512_storeu_si512(p, _mm512_maskz_set1_epi8(bits, 1));
}
inline void stream_64_bytes(const std::uint8_t* from, std::uint8_t* aligned) {
  _mm512_stream_si512(reinterpret_cast<__m512i*>(aligned), _mm512_loadu_si512(from));
}
inline void fence_streams() { _mm_sfence(); }

inline F32 max(F32 a, F32 b) { return {_mm512_max_ps(a.v, b.v)}; }
inline F32 min(F32 a, F32 b) { return {_mm512_min_ps(a.v, b.v)}; }
inline I32 max(I32 a, I32 b) { return {_mm512_max_epi32(a.v, b.v)}; }
inline F32 fma(F32 a, F32 b, F32 c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
inline float sum(F32 a) { return _mm512_reduce_add_ps(a.v); }
inline float reduce_max(F32 a) { return _mm512_reduce_max_ps(a.v); }

inline I32 round_to_int(F32 a) { return {_mm512_cvtps_epi32(a.v)}; }  // half to even
inline F32 to_float(I32 a) { return {_mm512_cvtepi32_ps(a.v)}; }

// Tables looked up by lane; the high bits of the index must be zero.
struct Table8 {
  __m512 v;
};
struct IntTable8 {
  __m512i v;
};
struct Table16 {
  __m512 v;
};
inline Table8 load_table8(const float* p) { return {_mm512_castps256_ps512(_mm256_loadu_ps(p))}; }
inline IntTable8 load_table8(const std::int32_t* p) {
  return {_mm512_castsi256_si512(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}
inline Table16 load_table16(const float* p) { return {_mm512_loadu_ps(p)}; }
inline F32 lookup(Table8 t, I32 i) { return {_mm512_permutexvar_ps(i.v, t.v)}; }
inline I32 lookup(IntTable8 t, I32 i) { return {_mm512_permutexvar_epi32(i.v, t.v)}; }
inline F32 lookup(Table16 t, I32 i) { return {_mm512_permutexvar_ps(i.v, t.v)}; }
inline F32 gather(const float* table, I32 i) { return {_mm512_i32gather_ps(i.v, table, 4)}; }
inline I32 permute(I32 a, I32 i) { return {_mm512_permutexvar_epi32(i.v, a.v)}; }

inline __m128i load_128_bits(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
inline I32 load_u8(const std::uint8_t* p) { return {_mm512_cvtepu8_epi32(load_128_bits(p))}; }
inline I32 load_s8(const std::int8_t* p) { return {_mm512_cvtepi8_epi32(load_128_bits(p))}; }
inline I32 load_u16(const std::uint16_t* p) {
  return {_mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}
inline void store_u8(std::uint8_t* p, I32 a) {  // the low byte of each lane
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(a.v));
}
inline void store_u16(std::uint16_t* p, I32 a) {  // the low half of each lane
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(a.v));
}

// Four-bit codes, the even lane in the high nibble of its byte.
inline I32 load_nibbles(const std::uint8_t* p) {
  const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
  const __m512i twice = _mm512_cvtepu8_epi32(_mm_unpacklo_epi8(bytes, bytes));
  const __m512i moved = _mm512_srlv_epi32(twice, _mm512_set1_epi64(4));  // even lanes by 4, odd lanes by 0
  return {_mm512_and_si512(moved, _mm512_set1_epi32(15))};
}
inline void store_nibbles(std::uint8_t* p, I32 a) {
  const __m512i joined = _mm512_or_si512(_mm512_slli_epi64(a.v, 4), _mm512_srli_epi64(a.v, 32));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm512_cvtepi64_epi8(joined));
}

// Codes of kBits < 8 bits, first a multiple of 16: each lane takes the two bytes that its code lies in.
template <int kBits>
inline I32 load_bits(const std::uint8_t* row, std::int64_t first) {
  static constexpr BitWindows<kBits, 16> kWindows;
  const __m128i bytes = _mm_maskz_loadu_epi8((1u << 2 * kBits) - 1, row + first * kBits / 8);
  const __m512i windows = _mm512_shuffle_epi8(_mm512_broadcast_i32x4(bytes), _mm512_load_si512(kWindows.bytes));
  const __m512i moved = _mm512_srlv_epi32(windows, _mm512_load_si512(kWindows.shifts));
  return {_mm512_and_si512(moved, _mm512_set1_epi32((1 << kBits) - 1))};
}

inline F32 load_f16(const std::uint16_t* p) {
  return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}
inline void store_f16(std::uint16_t* p, F32 a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT));
}
