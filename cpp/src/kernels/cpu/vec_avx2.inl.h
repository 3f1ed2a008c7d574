// Vector layer of the avx2 level: eight lanes. Included inside an anonymous namespace; see vec.inl.h.

#include "kernels/cpu/bit_windows.inl.h"

struct F32 {
  static constexpr int kWidth = 8;
  __m256 v;
};
struct I32 {
  __m256i v;
};
struct Mask {  // all bits of a lane, or none
  __m256i v;
};

inline I32 as_int(F32 a) { return {_mm256_castps_si256(a.v)}; }
inline F32 as_float(I32 a) { return {_mm256_castsi256_ps(a.v)}; }

inline F32 splat(float a) { return {_mm256_set1_ps(a)}; }
inline I32 splat(std::int32_t a) { return {_mm256_set1_epi32(a)}; }
inline I32 lane_indices() { return {_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)}; }

inline F32 load(const float* p) { return {_mm256_loadu_ps(p)}; }
inline void store(float* p, F32 a) { _mm256_storeu_ps(p, a.v); }

inline F32 operator+(F32 a, F32 b) { return {_mm256_add_ps(a.v, b.v)}; }
inline F32 operator-(F32 a, F32 b) { return {_mm256_sub_ps(a.v, b.v)}; }
inline F32 operator*(F32 a, F32 b) { return {_mm256_mul_ps(a.v, b.v)}; }
inline F32 operator/(F32 a, F32 b) { return {_mm256_div_ps(a.v, b.v)}; }
inline I32 operator+(I32 a, I32 b) { return {_mm256_add_epi32(a.v, b.v)}; }
inline I32 operator-(I32 a, I32 b) { return {_mm256_sub_epi32(a.v, b.v)}; }
inline I32 operator&(I32 a, I32 b) { return {_mm256_and_si256(a.v, b.v)}; }
inline I32 operator|(I32 a, I32 b) { return {_mm256_or_si256(a.v, b.v)}; }
inline I32 operator^(I32 a, I32 b) { return {_mm256_xor_si256(a.v, b.v)}; }
template <int kBits>
inline I32 shift_left(I32 a) {
  return {_mm256_slli_epi32(a.v, kBits)};
}
template <int kBits>
inline I32 shift_right(I32 a) {  // logical: zeros come in
  return {_mm256_srli_epi32(a.v, kBits)};
}
template <int kBits>
inline I32 shift_right_signed(I32 a) {  // copies of the sign come in
  return {_mm256_srai_epi32(a.v, kBits)};
}

inline Mask operator>(F32 a, F32 b) { return {_mm256_castps_si256(_mm256_cmp_ps(a.v, b.v, _CMP_GT_OQ))}; }
inline Mask operator>(I32 a, I32 b) { return {_mm256_cmpgt_epi32(a.v, b.v)}; }
inline Mask operator==(I32 a, I32 b) { return {_mm256_cmpeq_epi32(a.v, b.v)}; }
inline Mask operator&(Mask a, Mask b) { return {_mm256_and_si256(a.v, b.v)}; }
inline I32 select(Mask m, I32 yes, I32 no) { return {_mm256_blendv_epi8(no.v, yes.v, m.v)}; }
inline F32 select(Mask m, F32 yes, F32 no) { return as_float(select(m, as_int(yes), as_int(no))); }
inline I32 increment(I32 a, Mask where) { return {_mm256_sub_epi32(a.v, where.v)}; }
inline unsigned lane_bits(Mask m) { return static_cast<unsigned>(_mm256_movemask_ps(_mm256_castsi256_ps(m.v))); }
inline void store_lane_bits(std::uint64_t* words, int place, Mask m) {  // the bits of vector `place` of many
  reinterpret_cast<std::uint8_t*>(words)[place] = static_cast<std::uint8_t>(lane_bits(m));
}
inline int count(Mask m) {
  return __builtin_popcount(static_cast<unsigned>(_mm256_movemask_ps(_mm256_castsi256_ps(m.v))));
}

inline int store_where(std::int32_t* p, Mask m, I32 a) {  // packs the chosen lanes; may write all lanes' room
  alignas(32) std::int32_t lanes[8];
  _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), a.v);
  int n = 0;
  for (unsigned bits = static_cast<unsigned>(_mm256_movemask_ps(_mm256_castsi256_ps(m.v))); bits != 0;
       bits &= bits - 1) {
    p[n++] = lanes[__builtin_ctz(bits)];
  }
  return n;
}

inline void store_bits(std::uint8_t* p, std::uint64_t bits) {  // 64 bytes of 0 or 1
  const __m256i byte_of = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
  const __m256i bit_of = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201));
  for (int half = 0; half < 2; ++half) {
    const __m256i copies = _mm256_shuffle_epi8(_mm256_set1_epi32(static_cast<int>(bits >> 32 * half)), byte_of);
    const __m256i ones = _mm256_cmpeq_epi8(_mm256_and_si256(copies, bit_of), bit_of);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 32 * half), _mm256_abs_epi8(ones));
  }
}

inline void stream_64_bytes(const std::uint8_t* from, std::uint8_t* aligned) {
  for (int half = 0; half < 64; half += 32) {
    _mm256_stream_si256(reinterpret_cast<__m256i*>(aligned + half),
                        _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + half)));
  }
}
inline void fence_streams() { _mm_sfence(); }

inline F32 max(F32 a, F32 b) { return {_mm256_max_ps(a.v, b.v)}; }
inline F32 min(F32 a, F32 b) { return {_mm256_min_ps(a.v, b.v)}; }
inline I32 max(I32 a, I32 b) { return {_mm256_max_epi32(a.v, b.v)}; }
inline F32 fma(F32 a, F32 b, F32 c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
inline float sum(F32 a) {
  __m128 s = _mm_add_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
inline float reduce_max(F32 a) {
  __m128 s = _mm_max_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  s = _mm_max_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}

inline I32 round_to_int(F32 a) { return {_mm256_cvtps_epi32(a.v)}; }  // half to even
inline F32 to_float(I32 a) { return {_mm256_cvtepi32_ps(a.v)}; }

// Tables looked up by lane; the high bits of the index must be zero.
struct Table8 {
  __m256 v;
};
struct IntTable8 {
  __m256i v;
};
struct Table16 {
  __m256 low, high;
};
inline Table8 load_table8(const float* p) { return {_mm256_loadu_ps(p)}; }
inline IntTable8 load_table8(const std::int32_t* p) {
  return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))};
}
inline Table16 load_table16(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
inline F32 lookup(Table8 t, I32 i) { return {_mm256_permutevar8x32_ps(t.v, i.v)}; }
inline I32 lookup(IntTable8 t, I32 i) { return {_mm256_permutevar8x32_epi32(t.v, i.v)}; }
inline F32 lookup(Table16 t, I32 i) {  // bit 3 moves into the sign, which chooses the half
  const __m256 low = _mm256_permutevar8x32_ps(t.low, i.v), high = _mm256_permutevar8x32_ps(t.high, i.v);
  return {_mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32(i.v, 28)))};
}
inline F32 gather(const float* table, I32 i) { return {_mm256_i32gather_ps(table, i.v, 4)}; }
inline I32 permute(I32 a, I32 i) { return {_mm256_permutevar8x32_epi32(a.v, i.v)}; }

inline __m128i load_64_bits(const void* p) { return _mm_loadl_epi64(static_cast<const __m128i*>(p)); }
inline I32 load_u8(const std::uint8_t* p) { return {_mm256_cvtepu8_epi32(load_64_bits(p))}; }
inline I32 load_s8(const std::int8_t* p) { return {_mm256_cvtepi8_epi32(load_64_bits(p))}; }
inline I32 load_u16(const std::uint16_t* p) {
  return {_mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
}
inline void store_u8(std::uint8_t* p, I32 a) {  // the low byte of each lane
  const __m256i low = _mm256_shuffle_epi8(a.v, _mm256_set1_epi32(0x0c080400));
  const __m128i pair = _mm_unpacklo_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), pair);
}
inline void store_u16(std::uint16_t* p, I32 a) {  // the low half of each lane
  const __m256i low = _mm256_and_si256(a.v, _mm256_set1_epi32(0xffff));
  const __m128i packed = _mm_packus_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), packed);
}

// Four-bit codes, the even lane in the high nibble of its byte.
inline I32 load_nibbles(const std::uint8_t* p) {
  std::int32_t four;
  __builtin_memcpy(&four, p, sizeof four);
  const __m128i bytes = _mm_cvtsi32_si128(four);
  const __m256i twice = _mm256_cvtepu8_epi32(_mm_unpacklo_epi8(bytes, bytes));
  const __m256i moved = _mm256_srlv_epi32(twice, _mm256_setr_epi32(4, 0, 4, 0, 4, 0, 4, 0));
  return {_mm256_and_si256(moved, _mm256_set1_epi32(15))};
}
inline void store_nibbles(std::uint8_t* p, I32 a) {
  const __m256i joined = _mm256_or_si256(_mm256_slli_epi64(a.v, 4), _mm256_srli_epi64(a.v, 32));
  const __m256i low = _mm256_shuffle_epi8(joined, _mm256_set1_epi16(0x0800));  // bytes 0 and 8 of each half
  const __m128i bytes = _mm_unpacklo_epi16(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));
  const std::int32_t four = _mm_cvtsi128_si32(bytes);
  __builtin_memcpy(p, &four, sizeof four);
}

// Codes of kBits < 8 bits, first a multiple of 8: each lane takes the two bytes that its code lies in.
template <int kBits>
inline I32 load_bits(const std::uint8_t* row, std::int64_t first) {
  static constexpr BitWindows<kBits, 8> kWindows;
  std::uint64_t eight = 0;
  __builtin_memcpy(&eight, row + first * kBits / 8, kBits);
  const __m256i bytes = _mm256_set1_epi64x(static_cast<long long>(eight));
  const __m256i windows =
      _mm256_shuffle_epi8(bytes, _mm256_load_si256(reinterpret_cast<const __m256i*>(kWindows.bytes)));
  const __m256i moved =
      _mm256_srlv_epi32(windows, _mm256_load_si256(reinterpret_cast<const __m256i*>(kWindows.shifts)));
  return {_mm256_and_si256(moved, _mm256_set1_epi32((1 << kBits) - 1))};
}

inline F32 load_f16(const std::uint16_t* p) {
  return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
}
inline void store_f16(std::uint16_t* p, F32 a) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT));
}
