// Dot products of int8 rows on the avx512 level: widened to 16 bits, for pairs of products of 8 bits can exceed what
// vpmaddubsw adds up. Included inside an anonymous namespace.

constexpr int kInt8Rows = 4, kInt8Tokens = 4;
constexpr std::int32_t kInt8Shift = 0;

inline __m512i load_int8_as_int16(const std::int8_t* p) {
  return _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}

/// sums[r][t] += the products of weight row r and token t over k columns, a multiple of kInt8Step.
template <int kRows, int kTokens>
inline void int8_dots(const std::int8_t* weight, std::int64_t weight_stride, const std::int8_t* tokens,
                      std::int64_t token_stride, std::int64_t k, std::int32_t (&sums)[kRows][kTokens]) {
  __m512i total[kRows][kTokens];
  for (auto& row : total) {
    for (auto& lanes : row) lanes = _mm512_setzero_si512();
  }
  for (std::int64_t i = 0; i < k; i += 32) {
    __m512i w[kRows];
    for (int r = 0; r < kRows; ++r) w[r] = load_int8_as_int16(weight + r * weight_stride + i);
    for (int t = 0; t < kTokens; ++t) {
      const __m512i x = load_int8_as_int16(tokens + t * token_stride + i);
      for (int r = 0; r < kRows; ++r) total[r][t] = _mm512_add_epi32(total[r][t], _mm512_madd_epi16(w[r], x));
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int t = 0; t < kTokens; ++t) sums[r][t] += _mm512_reduce_add_epi32(total[r][t]);
  }
}
