// y = x W^T + bias with a sparse W of bfloat16 or int8 and x of bfloat16, by vdpbf16ps: two steps of a chain at once.
//
// The instruction gives fma(low, low', fma(high, high', chain)), both rounded to nearest even, but takes subnormal
// numbers as zeros and makes zeros of subnormal results. So where none can occur these are the bits of
// sparse_linear.inl.h. Magnitudes other than 0 of at least 2^a in W and 2^b in x are multiples of 2^(a - 7) and
// 2^(b - 7) (8 significant bits), products of 2^(a + b - 14); and so is every rounded sum of them, being one or
// coarser. With a + b - 14 >= -126 no number but 0 is then subnormal: a + b >= -112, of biased exponents >= 142.

struct SparseBFloatPairs {
  static constexpr int kPlaces = 2, kSteps = 1;
  template <int>
  [[gnu::always_inline]] static F32 step(const SparseLine& line) {
    return as_float(line.values);
  }
};

/// The halves of the magnitudes 128, 1, 2 .. 127 as bfloat16: |-128| begins with 0 as bits of an index do.
struct ByteMagnitudes {
  alignas(64) std::uint8_t low[128], high[128];
  constexpr ByteMagnitudes() : low{}, high{} {
    for (int i = 0; i < 128; ++i) {
      const auto bits = __builtin_bit_cast(std::uint32_t, i == 0 ? 128.0f : static_cast<float>(i));
      low[i] = static_cast<std::uint8_t>(bits >> 16);
      high[i] = static_cast<std::uint8_t>(bits >> 24);
    }
  }
};

struct SparseBytePairs {
  static constexpr int kPlaces = 4, kSteps = 2;
  /// Codes are exact in bfloat16: their halves are looked up, and where the mask has no code both are 0.
  template <int i>
  [[gnu::always_inline]] static F32 step(const SparseLine& line) {
    static constexpr ByteMagnitudes kMagnitudes;
    const auto looked_up = [&](const std::uint8_t* table) {
      const __m512i first = _mm512_load_si512(table), second = _mm512_load_si512(table + 64);
      return _mm512_maskz_permutex2var_epi8(line.mask, first, _mm512_abs_epi8(line.values.v), second);
    };
    const I32 sign = line.values & splat(static_cast<std::int32_t>(0x80808080));
    const I32 low = {looked_up(kMagnitudes.low)}, high = I32{looked_up(kMagnitudes.high)} | sign;
    return as_float(I32{i == 0 ? _mm512_unpacklo_epi8(low.v, high.v) : _mm512_unpackhi_epi8(low.v, high.v)});
  }
};

/// The even and the odd of 32 numbers.
inline I32 even_lanes(I32 a, I32 b) {
  const __m512i from = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  return {_mm512_permutex2var_epi32(a.v, from, b.v)};
}
inline I32 odd_lanes(I32 a, I32 b) {
  const __m512i from = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
  return {_mm512_permutex2var_epi32(a.v, from, b.v)};
}
/// Less than the bits of the magnitude by 1: 0 becomes the largest.
inline I32 below_magnitude(I32 bits) { return (bits & splat(0x7fffffff)) - splat(1); }
/// The first n of 16 floats as bits, zeros behind; n may be more or less.
inline I32 load_bits_of(const float* p, std::int64_t n) {
  const unsigned lanes = n >= 16 ? 0xffffu : n <= 0 ? 0u : (1u << n) - 1;
  return as_int({_mm512_maskz_loadu_ps(static_cast<__mmask16>(lanes), p)});
}

std::int32_t pack_sparse_pairs(const float* x, std::int64_t m, std::int64_t k, std::int64_t lo, std::int64_t hi,
                               float* pairs) {
  __m512i smallest = _mm512_set1_epi32(-1);
  I32 all = splat(0);
  for (std::int64_t t = lo; t < hi; ++t) {
    for (std::int64_t first = 0; first < k; first += kSparseChunk) {
      float* to = pairs + (first * m + t * kSparseChunk) / 2;
      for (std::int64_t i = 0; i < kSparseChunk; i += 32, to += 16) {
        const float* from = x + t * k + first + i;
        const std::int64_t left = k - first - i;
        const I32 a = load_bits_of(from, left), b = load_bits_of(left > 16 ? from + 16 : from, left - 16);
        store(to, as_float(even_lanes(a, b) | shift_right<16>(odd_lanes(a, b))));
        all = all | a | b;
        smallest = _mm512_min_epu32(smallest, _mm512_min_epu32(below_magnitude(a).v, below_magnitude(b).v));
      }
    }
    if (lane_bits((all & splat(0xffff)) == splat(0)) != 0xffff) return kNoExponent;
  }
  const std::uint32_t below = _mm512_reduce_min_epu32(smallest);
  if (below == ~0u) return 254;  // zeros alone
  return below < 0x007fffff ? kNoExponent : static_cast<std::int32_t>((below + 1) >> 23);
}

void sparse_dots(const SparseLinear& a, std::int64_t lo, std::int64_t hi, float* scratch) {
  if (a.value_bytes == 1) return sparse_range<SparseBytePairs>(a, lo, hi, scratch);
  sparse_range<SparseBFloatPairs>(a, lo, hi, scratch);
}
