// The search for the range of a block: its codes in a range that is given, the sum of powers of its errors, the best.

/// As quantize, but scale and zero point of block b come from the range [lows[b], highs[b]]; what lies outside
/// saturates.
template <Rule kRule, int kBits>
void quantize_in_range(const float* values, BlockRun run, const float* lows, const float* highs, RunParts out) {
  quantize_blocks<kRule, kBits>(values, run, out, [&](std::int64_t block, const float*, std::int64_t) {
    return range_between<kRule>(lows[block], highs[block]);
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

// Sixteen running sums, v * F32::kWidth + j the place of each: what is added to them is computed into memory first, a
// chunk at a time, so that neither loop runs out of registers.
constexpr std::int64_t kSums = 16, kSumRegisters = kSums / F32::kWidth, kSumChunk = 256;

// Of kSums values, in one order for every level. Not inlined: a vectorised tree on the stack of a kernel would look
// like sums that found no register.
__attribute__((noinline)) float tree_sum(float* lanes) {
  for (std::int64_t half = kSums / 2; half > 0; half /= 2) {
    for (std::int64_t j = 0; j < half; ++j) lanes[j] += lanes[j + half];
  }
  return lanes[0];
}

struct RunningSums {
  F32 registers[kSumRegisters];
  RunningSums() {
    for (F32& sum : registers) sum = splat(0.0f);
  }
  // `count` values, a multiple of kSums. The sums lie in memory between calls, and in registers here.
  __attribute__((noinline)) void add(const float* values, std::int64_t count) {
    F32 sums[kSumRegisters];
    for (std::int64_t v = 0; v < kSumRegisters; ++v) sums[v] = registers[v];
    for (std::int64_t i = 0; i < count; i += kSums) {
      for (std::int64_t v = 0; v < kSumRegisters; ++v) sums[v] = sums[v] + load(values + i + v * F32::kWidth);
    }
    for (std::int64_t v = 0; v < kSumRegisters; ++v) registers[v] = sums[v];
  }
  float total() const {
    float lanes[kSums];
    for (std::int64_t v = 0; v < kSumRegisters; ++v) store(lanes + v * F32::kWidth, registers[v]);
    return tree_sum(lanes);
  }
};

inline std::int64_t whole_sums(std::int64_t count) { return (count + kSums - 1) / kSums * kSums; }

// x[i], x[i + 1], ...; 0 from x[n] on.
inline F32 load_within(const float* x, std::int64_t i, std::int64_t n) {
  if (i + F32::kWidth <= n) return load(x + i);
  return i < n ? load_first(x + i, static_cast<int>(n - i)) : splat(0.0f);
}

// sum of (|a - b| * unit)^exponent.
float sum_of_powers(const float* a, const float* b, std::int64_t n, float unit, float exponent) {
  RunningSums sums;
  float powers[kSumChunk];
  for (std::int64_t first = 0; first < n; first += kSumChunk) {
    const std::int64_t rest = n - first, count = rest < kSumChunk ? rest : kSumChunk;
    const auto raise = [&](std::int64_t i, F32 left, F32 right) {
      store(powers + i, power(abs(left - right) * splat(unit), splat(exponent)));
    };
    std::int64_t i = 0;
    for (; i + F32::kWidth <= count; i += F32::kWidth) raise(i, load(a + first + i), load(b + first + i));
    for (; i < whole_sums(count); i += F32::kWidth) {
      raise(i, load_within(a + first, i, count), load_within(b + first, i, count));
    }
    sums.add(powers, whole_sums(count));
  }
  return sums.total();
}

/// sum_of_powers of the values and of what their codes stand for, which are never stored.
template <Rule kRule, int kBits>
float sum_of_error_powers(const Quantizer<kRule, kBits>& quantizer, const float* values, std::int64_t n, float unit,
                          float exponent) {
  const Dequantizer<kRule, kBits> dequantizer(quantizer);
  const auto error = [&](F32 x) {
    return abs(x - dequantizer.value(quantizer.code(x) & splat((1 << kBits) - 1))) * splat(unit);
  };
  RunningSums sums;
  float powers[kSumChunk];
  for (std::int64_t first = 0; first < n; first += kSumChunk) {
    const std::int64_t rest = n - first, count = rest < kSumChunk ? rest : kSumChunk;
    std::int64_t i = 0;
    for (; i + F32::kWidth <= count; i += F32::kWidth) {
      store(powers + i, power(error(load(values + first + i)), splat(exponent)));
    }
    for (; i < whole_sums(count); i += F32::kWidth) {
      const Mask used = splat(static_cast<std::int32_t>(count - i)) > lane_indices();
      const F32 there = select(used, error(load_within(values + first, i, count)), splat(0.0f));
      store(powers + i, power(there, splat(exponent)));
    }
    sums.add(powers, whole_sums(count));
  }
  return sums.total();
}

/// The share of the range [low, high] of all values that has the least sum of error powers, 1 unless another beats it
/// by more than the margin. Every rule takes the value of largest magnitude, `most`, at share s to no more than
/// s (most + one step), or s most in codebooks; once that error alone costs more than the best share, no later one
/// wins.
template <Rule kRule, int kBits>
float best_share(const float* values, std::int64_t n, float low, float high, RangeGrid grid) {
  constexpr float kMargin = 0x1p-14f;  // of a sum, above what the powers and the summation may be off
  constexpr float kRootMargin = 0x1p-12f, kProductMargin = 0x1p-20f;
  const float most = -low > high ? -low : high;
  float unit = 1.0f, reach = most, best = 1.0f, least = 0.0f, largest_error = 0.0f;
  for (int i = 0; i < grid.count; ++i) {
    const float share = 1.0f - 0.01f * static_cast<float>(i);
    if (i > 0 && (most * (1.0f - kProductMargin) - share * reach) * unit > largest_error) break;
    const Quantizer<kRule, kBits> quantizer(range_between<kRule>(share * low, share * high));
    if (i == 0) {
      if (quantizer.scale == 0.0f) break;
      const float step = __builtin_fabsf(quantizer.scale);
      unit = 1.0f / step;
      if (formats::is_integer(kRule)) reach = most + step;
    }
    const float sum = sum_of_error_powers(quantizer, values, n, unit, grid.exponent);
    if (i > 0 && !(sum < least)) continue;
    best = share;
    least = i == 0 ? sum * (1.0f - kMargin) : sum;
    largest_error = reduce_max(power(splat(least), splat(1.0f / grid.exponent))) * (1.0f + kRootMargin);
  }
  return best;
}
