// Blockwise quantisation. A quantizer is made from the values of one block (that is where scale and zero point come
// from) and then turns vectors of them into codes. Definitions: docs/formats.md; plain twin: reference_quantize.cpp.

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

// A block of zeros, and one so small that its scale underflows, gets scale 0; dividing by 1 then gives codes of zero.
inline F32 divisor(float scale) { return splat(scale > 0.0f ? scale : 1.0f); }

struct SymmetricQuantizer {
  static constexpr bool kHasZeros = false;
  float scale;
  F32 step;
  SymmetricQuantizer(const float* x, std::int64_t n, float range)
      : scale(largest_magnitude(x, n) / range), step(divisor(scale)) {}
};

struct Int8Quantizer : SymmetricQuantizer {
  static constexpr int kBits = 8;
  Int8Quantizer(const float* x, std::int64_t n) : SymmetricQuantizer(x, n, formats::kInt8Max) {}
  I32 code(F32 x) const { return round_to_int(clamp(x / step, splat(-formats::kInt8Max), splat(formats::kInt8Max))); }
};

struct Int4SymQuantizer : SymmetricQuantizer {
  static constexpr int kBits = 4;
  Int4SymQuantizer(const float* x, std::int64_t n) : SymmetricQuantizer(x, n, formats::kInt4SymDivisor) {}
  I32 code(F32 x) const {
    return round_to_int(clamp(x / step, splat(-8.0f), splat(7.0f))) + splat(formats::kInt4SymOffset);
  }
};

struct Int4AsymQuantizer {
  static constexpr int kBits = 4;
  static constexpr bool kHasZeros = true;
  float scale;
  F32 step;
  I32 zero;
  Int4AsymQuantizer(const float* x, std::int64_t n) {
    F32 high = splat(0.0f), minus_low = splat(0.0f);
    const auto widen_range = [&](F32 a) {
      high = max(high, a);
      minus_low = max(minus_low, splat(0.0f) - a);
    };
    std::int64_t i = 0;
    for (; i + F32::kWidth <= n; i += F32::kWidth) widen_range(load(x + i));
    if (i < n) widen_range(load_first(x + i, static_cast<int>(n - i)));
    const float top = reduce_max(high), depth = reduce_max(minus_low);
    // Halves, so that the width of the range cannot overflow; the bits are those of (max - min) / 15.
    const float width = (0.5f * top + 0.5f * depth) / (0.5f * formats::kInt4AsymLevels);
    scale = width > 0.0f ? width : 0.0f;
    step = divisor(scale);
    zero = round_to_int(clamp(splat(depth) / step, splat(0.0f), splat(formats::kInt4AsymLevels)));
  }
  I32 code(F32 x) const {
    const F32 offset = to_float(zero);
    return round_to_int(clamp(x / step, splat(0.0f) - offset, splat(formats::kInt4AsymLevels) - offset)) + zero;
  }
};

struct Nf4Quantizer : SymmetricQuantizer {
  static constexpr int kBits = 4;
  Nf4Quantizer(const float* x, std::int64_t n) : SymmetricQuantizer(x, n, 1.0f) {}
  I32 code(F32 x) const { return kNf4Search.rank(x / step); }
};

struct Fp4Quantizer : SymmetricQuantizer {
  static constexpr int kBits = 4;
  Fp4Quantizer(const float* x, std::int64_t n) : SymmetricQuantizer(x, n, 1.0f) {}
  I32 code(F32 x) const {
    const I32 magnitude = lookup(load_table8(formats::kFp4CodeOfRank), kFp4Search.rank(abs(x / step)));
    return magnitude | (shift_right<28>(as_int(x)) & splat(formats::kFp4SignBit));
  }
};

template <class Quantizer>
void quantize(const float* values, BlockRun run, std::uint8_t* codes, float* scales, std::uint8_t* zeros) {
  for (std::int64_t first = 0, block = 0; first < run.n; first += run.block, ++block) {
    const std::int64_t end = run.n - first < run.block ? run.n : first + run.block;
    const Quantizer quantizer(values + first, end - first);
    scales[block] = quantizer.scale;
    if constexpr (Quantizer::kHasZeros) store_u8_first(zeros + block, quantizer.zero, 1);
    std::int64_t i = first;
    for (; i + F32::kWidth <= end; i += F32::kWidth) {
      const I32 code = quantizer.code(load(values + i));
      if constexpr (Quantizer::kBits == 8) {
        store_u8(codes + i, code);
      } else {
        store_nibbles(codes + i / 2, code);
      }
    }
    if (i == end) continue;
    const int rest = static_cast<int>(end - i);
    const I32 code = quantizer.code(load_first(values + i, rest));  // an odd tail is padded with the code of zero
    if constexpr (Quantizer::kBits == 8) {
      store_u8_first(codes + i, code, rest);
    } else {
      store_nibbles_first(codes + i / 2, code, rest);
    }
  }
}
