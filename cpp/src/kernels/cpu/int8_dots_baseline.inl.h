// Dot products of int8 rows on the baseline level. Included inside an anonymous namespace.

constexpr int kInt8Rows = 2, kInt8Tokens = 2;
constexpr std::int32_t kInt8Shift = 0;

/// sums[r][t] += the products of weight row r and token t over k columns, a multiple of kInt8Step.
template <int kRows, int kTokens>
inline void int8_dots(const std::int8_t* weight, std::int64_t weight_stride, const std::int8_t* tokens,
                      std::int64_t token_stride, std::int64_t k, std::int32_t (&sums)[kRows][kTokens]) {
  for (int r = 0; r < kRows; ++r) {
    for (int t = 0; t < kTokens; ++t) {
      const std::int8_t* w = weight + r * weight_stride;
      const std::int8_t* x = tokens + t * token_stride;
      std::int32_t sum = 0;
      for (std::int64_t i = 0; i < k; ++i) sum += static_cast<std::int16_t>(w[i]) * static_cast<std::int16_t>(x[i]);
      sums[r][t] += sum;
    }
  }
}
