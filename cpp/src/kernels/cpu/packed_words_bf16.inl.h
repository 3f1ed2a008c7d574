// A *word* is what 4 bytes of x hold and what a lane of decoded weights is: here two columns in bf16, the first one of
// the contract in the high half. Only integer codes: of at most 8 significant bits, they are values of bf16.

constexpr int kWordColumns = 2;

/// fma(low w, low x, fma(high w, high x, sum)), each rounded to nearest even. What is subnormal counts as 0, before and
/// after: holds_bf16 keeps that from happening.
inline F32 add_products(F32 w, F32 x, F32 sum) {
  return {_mm512_dpbf16_ps(sum.v, __builtin_bit_cast(__m512bh, w.v), __builtin_bit_cast(__m512bh, x.v))};
}

/// Columns in the order of the contract to words.
inline void store_words(const float* columns, std::int64_t n, float* words) {
  for (std::int64_t i = 0; i < n / 2; ++i) {
    std::uint32_t pair[2];
    __builtin_memcpy(pair, columns + 2 * i, sizeof pair);
    const std::uint32_t word = (pair[0] & 0xffff0000) | pair[1] >> 16;
    __builtin_memcpy(words + i, &word, sizeof word);
  }
}

/// Whether add_products gives the bits of two fma for this row of x: it holds values of bf16 alone, each 0 or of a
/// magnitude from 2^-119 to below 2^113. Then x and, codes being integers, all products and sums are multiples of
/// 2^-126 (bf16 has 7 bits after the first; rounding keeps multiples of a power of two), so none is subnormal. And the
/// 64 products of a chain, with codes of at most 2^8, stay below 2^127.
bool holds_bf16(const float* row, std::int64_t n) {
  const I32 low_half = splat(0xffff), magnitude = splat(0x7fffffff);
  const I32 least = splat((127 - 119) << 23), span = splat((113 + 119) << 23);
  const auto fits = [&](I32 bits) {
    const I32 size = bits & magnitude;
    const __mmask16 rounded = _mm512_test_epi32_mask(bits.v, low_half.v);
    const __mmask16 outside = _mm512_cmpge_epu32_mask((size - least).v, span.v);
    return (rounded | _mm512_mask_test_epi32_mask(outside, size.v, size.v)) == 0;
  };
  std::int64_t i = 0;
  for (; i + F32::kWidth <= n; i += F32::kWidth) {
    if (!fits(as_int(load(row + i)))) return false;
  }
  return i == n || fits(as_int(load_first(row + i, static_cast<int>(n - i))));
}

// How a dword becomes kWords words of weights: weight<i> the i-th in the order of the contract.

/// Of a dword shifted by 0, 4, 8 and 12 bits, either half begins with a code: one permutation looks 32 weights up. The
/// table is there twice, as the index has one bit more than the code.
struct NibblePairs {
  static constexpr int kWords = 4;
  I32 table;

  explicit NibblePairs(const PackedCodes& codes) {
    float values[F32::kWidth];
    for (int i = 0; i < F32::kWidth; ++i) values[i] = static_cast<float>(i - codes.offset);
    const __m256i halves = _mm512_cvtepi32_epi16(shift_right<16>(as_int(load(values))).v);
    table = {_mm512_broadcast_i64x4(halves)};
  }
  template <int i>
  F32 weight(I32 dwords) const {
    return as_float(I32{_mm512_permutexvar_epi16(shifted<4 * i>(dwords).v, table.v)});
  }
};

struct BytePairs {
  static constexpr int kWords = 2;
  IntegerBytes codes;

  explicit BytePairs(const PackedCodes& packed) : codes(packed) {}
  template <int i>
  F32 weight(I32 dwords) const {
    const I32 high = as_int(codes.template weight<2 * i>(dwords)),
              low = as_int(codes.template weight<2 * i + 1>(dwords));
    return as_float(I32{_mm512_mask_blend_epi16(0xaaaaaaaa, shift_right<16>(low).v, high.v)});
  }
};

/// serve(words) with what decodes these codes.
template <class Serve>
void with_words(const PackedCodes& codes, const Serve& serve) {
  if (codes.bits == 8) return serve(BytePairs(codes));
  serve(NibblePairs(codes));
}
