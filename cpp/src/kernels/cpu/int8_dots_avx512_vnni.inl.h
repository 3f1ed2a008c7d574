// Dot products of int8 rows on the avx512_vnni level. vpdpbusd takes one factor without sign: weights get 128 added,
// which adds 128 times the sum of the token's codes. Sums wrap modulo 2^32, so the difference is exact. Included inside
// an anonymous namespace.

constexpr int kInt8Rows = 4, kInt8Tokens = 4;
constexpr std::int32_t kInt8Shift = 128;

// Modulo 2^32, in vector additions: they wrap, where the one at the end of _mm512_reduce_add_epi32 is a signed scalar.
// Not inlined: GCC 12 would keep sums of the loop before it on the stack.
__attribute__((noinline)) std::uint32_t sum_lanes(__m512i v) {
  const __m256i eight = _mm256_add_epi32(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64(v, 1));
  const __m128i four = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
  const __m128i two = _mm_add_epi32(four, _mm_unpackhi_epi64(four, four));
  return static_cast<std::uint32_t>(_mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 1))));
}

/// sums[r][t] += the products of weight row r, kInt8Shift added, and token t over k columns, a multiple of kInt8Step.
template <int kRows, int kTokens>
inline void int8_dots(const std::int8_t* weight, std::int64_t weight_stride, const std::int8_t* tokens,
                      std::int64_t token_stride, std::int64_t k, std::int32_t (&sums)[kRows][kTokens]) {
  const __m512i sign = _mm512_set1_epi8(static_cast<char>(0x80));
  __m512i total[kRows][kTokens];
  for (auto& row : total) {
    for (auto& lanes : row) lanes = _mm512_setzero_si512();
  }
  for (std::int64_t i = 0; i < k; i += 64) {
    __m512i w[kRows];
    for (int r = 0; r < kRows; ++r) w[r] = _mm512_xor_si512(_mm512_loadu_si512(weight + r * weight_stride + i), sign);
    for (int t = 0; t < kTokens; ++t) {
      const __m512i x = _mm512_loadu_si512(tokens + t * token_stride + i);
      for (int r = 0; r < kRows; ++r) total[r][t] = _mm512_dpbusd_epi32(total[r][t], w[r], x);
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int t = 0; t < kTokens; ++t) {
      sums[r][t] = static_cast<std::int32_t>(static_cast<std::uint32_t>(sums[r][t]) + sum_lanes(total[r][t]));
    }
  }
}
