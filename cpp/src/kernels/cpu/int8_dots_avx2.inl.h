// Dot products of int8 rows on the avx2 level: widened to 16 bits, for pairs of products of 8 bits can exceed what
// vpmaddubsw adds up. Included inside an anonymous namespace.

constexpr int kInt8Rows = 2, kInt8Tokens = 2;
constexpr std::int32_t kInt8Shift = 0;

inline __m256i load_int8_as_int16(const std::int8_t* p) {
  return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}

inline std::int32_t sum_lanes(__m256i v) {
  const __m128i half = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  const __m128i quarter = _mm_add_epi32(half, _mm_unpackhi_epi64(half, half));
  return _mm_cvtsi128_si32(_mm_add_epi32(quarter, _mm_shuffle_epi32(quarter, 1)));
}

/// sums[r][t] += the products of weight row r and token t over k columns, a multiple of kInt8Step.
template <int kRows, int kTokens>
inline void int8_dots(const std::int8_t* weight, std::int64_t weight_stride, const std::int8_t* tokens,
                      std::int64_t token_stride, std::int64_t k, std::int32_t (&sums)[kRows][kTokens]) {
  __m256i total[kRows][kTokens];
  for (auto& row : total) {
    for (auto& lanes : row) lanes = _mm256_setzero_si256();
  }
  for (std::int64_t i = 0; i < k; i += 16) {
    __m256i w[kRows];
    for (int r = 0; r < kRows; ++r) w[r] = load_int8_as_int16(weight + r * weight_stride + i);
    for (int t = 0; t < kTokens; ++t) {
      const __m256i x = load_int8_as_int16(tokens + t * token_stride + i);
      for (int r = 0; r < kRows; ++r) total[r][t] = _mm256_add_epi32(total[r][t], _mm256_madd_epi16(w[r], x));
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int t = 0; t < kTokens; ++t) sums[r][t] += sum_lanes(total[r][t]);
  }
}
