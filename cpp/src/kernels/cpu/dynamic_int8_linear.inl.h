// The product of int8 weights with tokens rounded to int8: exact int32 sums, then the scales. Definition:
// fairopt/dynamic_int8_linear.h; plain twin: reference_dynamic_int8_linear.cpp; the sums: int8_dots_*.inl.h.

/// One token: codes [padded], of which those after n are 0, its scale, and the sum of its codes.
void quantize_int8_token(const float* x, std::int64_t n, float threshold, std::int8_t* codes, std::int64_t padded,
                         float* scale, std::int32_t* sum) {
  for (std::int64_t i = n; i < padded; ++i) codes[i] = 0;
  const F32 limit = splat(threshold);
  const auto small = [&](F32 v) { return select(limit > abs(v), v, splat(0.0f)); };
  F32 largest = splat(0.0f);
  std::int64_t i = 0;
  for (; i + F32::kWidth <= n; i += F32::kWidth) largest = max(largest, abs(small(load(x + i))));
  if (i < n) largest = max(largest, abs(small(load_first(x + i, static_cast<int>(n - i)))));
  *scale = reduce_max(largest) / formats::kInt8Max;
  *sum = 0;
  const bool finite = count_nonfinite(x, n) == 0;
  if (!finite) *scale = __builtin_nanf("");
  const F32 step = splat(finite && *scale > 0.0f ? *scale : 1.0f);
  const F32 most = splat(formats::kInt8Max);
  const bool zero = !finite || !(*scale > 0.0f);
  const auto code = [&](F32 v) { return round_to_int(clamp(small(v) / step, splat(0.0f) - most, most)); };
  auto* bytes = reinterpret_cast<std::uint8_t*>(codes);
  for (i = 0; i + F32::kWidth <= n; i += F32::kWidth) store_u8(bytes + i, zero ? splat(0) : code(load(x + i)));
  if (i < n) {
    const int rest = static_cast<int>(n - i);
    store_u8_first(bytes + i, zero ? splat(0) : code(load_first(x + i, rest)), rest);
  }
  for (i = 0; i < n; ++i) *sum += codes[i];
}

inline float int8_outlier_sum(const Int8Outliers& outliers, const std::int8_t* codes) {
  float sum = 0.0f;
  for (std::int64_t i = 0; i < outliers.n; ++i) {
    sum += outliers.first[i].value * static_cast<float>(codes[outliers.first[i].column]);
  }
  return sum;
}

/// kRows rows of the weight times kTokens tokens. `tail` holds the last k % kInt8Step columns of these rows.
template <int kRows, int kTokens>
inline void int8_tile(const DynamicInt8Linear& a, std::int64_t row, std::int64_t token, const std::int8_t* tail) {
  std::int32_t sums[kRows][kTokens] = {};
  const std::int64_t whole = a.k / kInt8Step * kInt8Step;
  const std::int8_t* x = a.tokens + token * a.stride;
  int8_dots<kRows, kTokens>(a.codes + row * a.k, a.k, x, a.stride, whole, sums);
  if (whole < a.k) int8_dots<kRows, kTokens>(tail, kInt8Step, x + whole, a.stride, kInt8Step, sums);
  for (int t = 0; t < kTokens; ++t) {
    const auto shift = static_cast<std::uint32_t>(kInt8Shift) * static_cast<std::uint32_t>(a.token_sums[token + t]);
    for (int r = 0; r < kRows; ++r) {
      const auto sum = static_cast<std::int32_t>(static_cast<std::uint32_t>(sums[r][t]) - shift);
      float value = (a.scales[row + r] * a.token_scales[token + t]) * static_cast<float>(sum);
      if (a.outliers[token + t].n > 0) {
        value += a.scales[row + r] * int8_outlier_sum(a.outliers[token + t], a.codes + (row + r) * a.k);
      }
      a.y[(token + t) * a.n + row + r] = a.bias == nullptr ? value : value + a.bias[row + r];
    }
  }
}

template <int kRows>
inline void int8_rows(const DynamicInt8Linear& a, std::int64_t row) {
  std::int8_t tail[kRows * kInt8Step] = {};
  const std::int64_t rest = a.k % kInt8Step;
  for (int r = 0; r < kRows; ++r) {
    const std::int8_t* end = a.codes + (row + r + 1) * a.k - rest;
    for (std::int64_t i = 0; i < rest; ++i) tail[r * kInt8Step + i] = end[i];
  }
  std::int64_t token = 0;
  for (; token + kInt8Tokens <= a.m; token += kInt8Tokens) int8_tile<kRows, kInt8Tokens>(a, row, token, tail);
  for (; token < a.m; ++token) int8_tile<kRows, 1>(a, row, token, tail);
}

void dynamic_int8_linear(const DynamicInt8Linear& a, std::int64_t lo, std::int64_t hi) {
  std::int64_t row = lo;
  for (; row + kInt8Rows <= hi; row += kInt8Rows) int8_rows<kInt8Rows>(a, row);
  for (; row < hi; ++row) int8_rows<1>(a, row);
}
