// Blockwise quantisation. A quantizer is made from the range of one block (that is where scale and zero point come
// from) and then turns vectors of them into codes. Definitions: docs/formats.md; plain twin: reference_quantize.cpp.

using formats::Rule;

// Sorted thresholds laid out for a binary search of three or four lookups: row d holds the 2^d pivots of depth d.
template <int kDepth>
struct Thresholds {
  float pivots[kDepth][8] = {};
  constexpr explicit Thresholds(const float (&sorted)[(1 << kDepth) - 1]) {
    for (int d = 0; d < kDepth; ++d) {
      for (int i = 0; i < 1 << d; ++i) pivots[d][i] = sorted[((2 * i + 1) << (kDepth - d - 1)) - 1];
    }
  }
  // How many thresholds x is strictly greater than.
  I32 rank(F32 x) const {
    I32 r = increment(splat(0), x > splat(pivots[0][0]));
    for (int d = 1; d < kDepth; ++d) r = increment(r + r, x > lookup(load_table8(pivots[d]), r));
    return r;
  }
};
constexpr Thresholds<4> kNf4Search(formats::kNf4Thresholds);
constexpr Thresholds<3> kFp4Search(formats::kFp4Thresholds);

float largest_magnitude(const float* x, std::int64_t n) {
  F32 largest = splat(0.0f);
  std::int64_t i = 0;
  for (; i + F32::kWidth <= n; i += F32::kWidth) largest = max(largest, abs(load(x + i)));
  if (i < n) largest = max(largest, abs(load_first(x + i, static_cast<int>(n - i))));
  return reduce_max(largest);
}

// What a scale follows from: the largest value and the largest negated one.
struct Range {
  float top, depth;
  Range(float low, float high) : top(high), depth(0.0f - low) {}
  Range(const float* x, std::int64_t n, float top_from, float depth_from) {
    F32 high = splat(top_from), minus_low = splat(depth_from);
    const auto widen = [&](F32 a) {
      high = max(high, a);
      minus_low = max(minus_low, splat(0.0f) - a);
    };
    std::int64_t i = 0;
    for (; i + F32::kWidth <= n; i += F32::kWidth) widen(load(x + i));
    if (i < n) widen(load_first_or(x + i, static_cast<int>(n - i), x[0]));
    top = reduce_max(high);
    depth = reduce_max(minus_low);
  }
  float magnitude() const { return top > depth ? top : depth; }
  /// One of `levels` equal steps. Halves, so that the width cannot overflow; the bits are those of (max - min) /
  /// levels.
  float step(float levels) const {
    const float width = (0.5f * top + 0.5f * depth) / (0.5f * levels);
    return width > 0.0f ? width : 0.0f;
  }
};

constexpr bool range_has_zero(Rule rule) {
  return rule == Rule::kSymNoClip || rule == Rule::kSymSigned || rule == Rule::kAsymInt;
}
/// As a rule takes it: of values, and one that is given.
template <Rule kRule>
Range range_of(const float* x, std::int64_t n) {
  if constexpr (formats::has_float_zeros(kRule)) return Range(x, n, x[0], 0.0f - x[0]);
  if constexpr (range_has_zero(kRule)) return Range(x, n, 0.0f, 0.0f);
  const float largest = largest_magnitude(x, n);
  return Range(0.0f - largest, largest);
}
template <Rule kRule>
Range range_between(float low, float high) {
  if constexpr (range_has_zero(kRule)) return Range(low < 0.0f ? low : 0.0f, high > 0.0f ? high : 0.0f);
  return Range(low, high);
}

// A block of zeros, and one so small that its scale underflows, gets scale 0; dividing by 1 then gives codes of zero.
inline F32 divisor(float scale) { return splat(scale != 0.0f ? scale : 1.0f); }

template <Rule kRule, int kBits>
float symmetric_scale(const Range& range) {
  constexpr float kHalf = 1 << (kBits - 1);
  if constexpr (kRule == Rule::kSymNarrow) return range.magnitude() / (kHalf - 1.0f);
  if constexpr (kRule == Rule::kSymFull) return range.magnitude() / (kHalf - 0.5f);
  if constexpr (kRule == Rule::kSymNoClip || kRule == Rule::kSymSigned) {
    const float down = range.depth / kHalf;
    if constexpr (kRule == Rule::kSymSigned) return range.depth >= range.top ? down : range.top / -kHalf;
    const float up = range.top / (kHalf - 1.0f);
    return up > down ? up : down;
  }
}

/// The symmetric rules; the others follow.
template <Rule kRule, int kBits>
struct Quantizer {
  float scale;
  F32 step;
  explicit Quantizer(const Range& range) : scale(symmetric_scale<kRule, kBits>(range)), step(divisor(scale)) {}
  I32 code(F32 x) const {
    constexpr float kHigh = (1 << (kBits - 1)) - 1, kLow = kRule == Rule::kSymNarrow ? -kHigh : -kHigh - 1.0f;
    return round_to_int(clamp(x / step, splat(kLow), splat(kHigh))) + splat(formats::offset({kRule, kBits}));
  }
};

template <int kBits>
struct Quantizer<Rule::kAsymInt, kBits> {
  static constexpr float kLevels = (1 << kBits) - 1;
  float scale;
  F32 step;
  I32 zero;
  explicit Quantizer(const Range& range) {
    scale = range.step(kLevels);
    step = divisor(scale);
    zero = round_to_int(clamp(splat(range.depth) / step, splat(0.0f), splat(kLevels)));
  }
  I32 code(F32 x) const {
    const F32 below = to_float(zero);
    return round_to_int(clamp(x / step, splat(0.0f) - below, splat(kLevels) - below)) + zero;
  }
};

/// Zero points in floating point: the value of code 0 (kAsymFloat) or of the middle code (kAsymCentre).
template <Rule kRule, int kBits>
  requires(formats::has_float_zeros(kRule))
struct Quantizer<kRule, kBits> {
  static constexpr float kLevels = (1 << kBits) - 1;
  float scale;
  float zero;
  F32 step, half_low;
  explicit Quantizer(const Range& range) {
    scale = range.step(kLevels);
    step = divisor(scale);
    zero = 0.0f - range.depth;  // never -0
    float half = 0.5f * zero;   // halves again, for the same reason
    if constexpr (kRule == Rule::kAsymCentre) {
      const float to_centre = 0.5f * formats::offset({kRule, kBits}) * scale;
      zero = 2.0f * (half + to_centre);
      half = 0.5f * zero - to_centre;
    }
    half_low = splat(half);
  }
  I32 code(F32 x) const {
    const F32 steps = (splat(0.5f) * x - half_low) / step;
    return round_to_int(clamp(steps + steps, splat(0.0f), splat(kLevels)));
  }
};

/// The codebooks: amax becomes their largest value.
template <>
struct Quantizer<Rule::kNormalFloat, 4> {
  float scale;
  F32 step;
  explicit Quantizer(const Range& range) : scale(range.magnitude()), step(divisor(scale)) {}
  I32 code(F32 x) const { return kNf4Search.rank(x / step); }
};

template <>
struct Quantizer<Rule::kBnbFloat, 4> {
  float scale;
  F32 step;
  explicit Quantizer(const Range& range) : scale(range.magnitude()), step(divisor(scale)) {}
  I32 code(F32 x) const {
    const I32 magnitude = lookup(load_table8(formats::kFp4CodeOfRank), kFp4Search.rank(abs(x / step)));
    return magnitude | (shift_right<28>(as_int(x)) & splat(formats::kFp4SignBit));
  }
};

template <>
struct Quantizer<Rule::kE4m3, 8> {
  float scale;
  F32 step;
  explicit Quantizer(const Range& range) : scale(range.magnitude() / formats::kFp8Max), step(divisor(scale)) {}
  I32 code(F32 x) const {
    const F32 magnitude = min(abs(x / step), splat(formats::kFp8Max));
    const I32 bits = as_int(magnitude), odd = shift_right<20>(bits) & splat(1);
    const I32 normal = shift_right<20>(bits + splat(0x7ffff) + odd) - splat((127 - 7) << 3);
    const I32 subnormal = as_int(magnitude + splat(0x1p14f)) - splat(0x46800000);  // 2^14's last bit is worth 2^-9
    const I32 rounded = select(magnitude > splat(0x1.fffffep-7f), normal, subnormal);
    return rounded | (shift_right<24>(as_int(x)) & splat(0x80));
  }
};

/// `range(block, values, n)` is that of a block.
template <Rule kRule, int kBits, class MakeRange>
void quantize_blocks(const float* values, BlockRun run, RunParts out, const MakeRange& range) {
  for (std::int64_t first = 0, block = 0; first < run.n; first += run.block, ++block) {
    const std::int64_t end = run.n - first < run.block ? run.n : first + run.block;
    const Quantizer<kRule, kBits> quantizer(range(block, values + first, end - first));
    out.scales[block] = quantizer.scale;
    if constexpr (formats::has_integer_zeros(kRule)) store_u8_first(out.zeros + block, quantizer.zero, 1);
    if constexpr (formats::has_float_zeros(kRule)) out.float_zeros[block] = quantizer.zero;
    const auto group = [&](const float* x, std::uint8_t* codes) {
      I32 vectors[kVectorsPerGroup];
      for (int v = 0; v < kVectorsPerGroup; ++v) vectors[v] = quantizer.code(load(x + v * F32::kWidth));
      store_codes<kBits>(codes, vectors);
    };
    std::int64_t i = first;
    for (; i + formats::kGroup <= end; i += formats::kGroup) group(values + i, out.codes + i * kBits / 8);
    if (i == end) continue;
    float rest[formats::kGroup] = {};  // the bits after the last code are those of codes of zero
    std::uint8_t bytes[2 * kBits];
    for (std::int64_t j = i; j < end; ++j) rest[j - i] = values[j];
    group(rest, bytes);
    for (std::int64_t j = 0; j < ((end - i) * kBits + 7) / 8; ++j) out.codes[i * kBits / 8 + j] = bytes[j];
  }
}

template <Rule kRule, int kBits>
void quantize(const float* values, BlockRun run, RunParts out) {
  quantize_blocks<kRule, kBits>(values, run, out,
                                [](std::int64_t, const float* x, std::int64_t n) { return range_of<kRule>(x, n); });
}
