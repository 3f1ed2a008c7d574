// What a search for ranges needs of a block: its codes in a range that is given, and the sum of powers of its errors.

/// As quantize, but scale and zero point of block b come from the range [lows[b], highs[b]]; what lies outside
/// saturates.
template <Rule kRule, int kBits>
void quantize_in_range(const float* values, BlockRun run, const float* lows, const float* highs, RunParts out) {
  quantize_blocks<kRule, kBits>(values, run, out, [&](std::int64_t block, const float*, std::int64_t) {
    const float range[2] = {lows[block], highs[block]};
    return Quantizer<kRule, kBits>(range, 2);
  });
}

// x^exponent for x >= 0 through base-2 logarithm and exponential. Relative error below 2^-18 where |exponent * log2 x|
// <= 16; results are kept within 2^-126 and 2^126, and 0 counts as 2^-127.
inline F32 power(F32 x, F32 exponent) {
  // x = m 2^e with m from sqrt(1/2) on; ln m = 2 artanh((m - 1) / (m + 1)).
  constexpr std::int32_t kRootHalf = 0x3f3504f3;
  const I32 moved = as_int(x) + splat(0x3f800000 - kRootHalf);
  const I32 e = shift_right<23>(moved) - splat(127);
  const F32 m = as_float((moved & splat(0x7fffff)) + splat(kRootHalf));
  const F32 r = (m - splat(1.0f)) / (m + splat(1.0f)), r2 = r * r;
  const F32 series = splat(0x1.715476p1f) +
                     r2 * (splat(0x1.ec709ep-1f) +
                           r2 * (splat(0x1.2776c6p-1f) + r2 * (splat(0x1.a61762p-2f) + r2 * splat(0x1.484b14p-2f))));
  const F32 y = clamp(exponent * (to_float(e) + r * series), splat(-126.0f), splat(126.0f));
  const I32 whole = round_to_int(y);
  const F32 f = (y - to_float(whole)) * splat(0x1.62e43p-1f);
  F32 exp = splat(1.0f) + f * splat(1.0f / 6.0f);
  exp = splat(1.0f) + f * splat(1.0f / 5.0f) * exp;
  exp = splat(1.0f) + f * splat(1.0f / 4.0f) * exp;
  exp = splat(1.0f) + f * splat(1.0f / 3.0f) * exp;
  exp = splat(1.0f) + f * splat(1.0f / 2.0f) * exp;
  exp = splat(1.0f) + f * exp;
  return as_float(as_int(exp) + shift_left<23>(whole));
}

// Sixteen running sums in one order for every level: a tree.
inline float sum_in_order(const F32 (&sums)[16 / F32::kWidth]) {
  float lanes[16];
  for (int v = 0; v < 16 / F32::kWidth; ++v) store(lanes + v * F32::kWidth, sums[v]);
  for (int half = 8; half > 0; half /= 2) {
    for (int j = 0; j < half; ++j) lanes[j] += lanes[j + half];
  }
  return lanes[0];
}

// sum of (|a - b| * unit)^exponent.
float sum_of_powers(const float* a, const float* b, std::int64_t n, float unit, float exponent) {
  constexpr std::int64_t kSums = 16, kRegisters = kSums / F32::kWidth;
  F32 sums[kRegisters];
  for (F32& sum : sums) sum = splat(0.0f);
  const auto add = [&](const float* left, const float* right) {
    for (std::int64_t v = 0; v < kRegisters; ++v) {
      const F32 error = abs(load(left + v * F32::kWidth) - load(right + v * F32::kWidth)) * splat(unit);
      sums[v] = sums[v] + power(error, splat(exponent));
    }
  };
  std::int64_t i = 0;
  for (; i + kSums <= n; i += kSums) add(a + i, b + i);
  if (i < n) {
    float left[kSums] = {}, right[kSums] = {};
    for (std::int64_t j = i; j < n; ++j) left[j - i] = a[j], right[j - i] = b[j];
    add(left, right);
  }
  return sum_in_order(sums);
}
