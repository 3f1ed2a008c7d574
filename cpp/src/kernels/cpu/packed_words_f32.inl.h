// A *word* is what 4 bytes of x hold and what a lane of decoded weights is: here one column in fp32.

constexpr int kWordColumns = 1;
inline F32 add_products(F32 w, F32 x, F32 sum) { return fma(w, x, sum); }

/// Columns in the order of the contract to words.
inline void store_words(const float* columns, std::int64_t n, float* words) {
  __builtin_memcpy(words, columns, static_cast<std::size_t>(n) * sizeof(float));
}

// How a dword becomes kWords words of weights: weight<i> the i-th in the order of the contract.

template <int kBits, int kColumns>
struct IntegerWords : IntegerCodes<kBits, kColumns> {
  static constexpr int kWords = kColumns;
  using IntegerCodes<kBits, kColumns>::IntegerCodes;
};

template <int kShift>
inline F32 looked_up(I32 dwords, BlockTable table) {
  return weight<kShift>(dwords, table);
}

struct TableWords {
  static constexpr int kWords = 8;
  float values[16];
  BlockTable table;

  explicit TableWords(const PackedCodes& codes) {
    for (int i = 0; i < 16; ++i) {
      values[i] = codes.codebook != nullptr ? codes.codebook[i] : static_cast<float>(i - codes.offset);
    }
    table = block_table(load_table16(values), 1.0f, -0.0f);
  }
  template <int i>
  F32 weight(I32 dwords) const {
    return looked_up<4 * code_at(8, i)>(dwords, table);
  }
};

/// FP8. Sign, exponent and mantissa go to their places in fp32 at once: shifted there as signed numbers, whose copies
/// of the sign are masked away. The exponent moves from bias 7 to 127 by a product, exact for subnormals too. The
/// constants wait in memory, like those of IntegerCodes.
struct E4m3Words {
  static constexpr int kWords = 4;
  float kept[F32::kWidth], magnitude[F32::kWidth], nan[F32::kWidth], power[F32::kWidth];

  explicit E4m3Words(const PackedCodes&) {
    store(kept, as_float(splat(~0x780fffff)));
    store(magnitude, as_float(splat(0x07f00000)));
    store(nan, as_float(splat(formats::kFp8Nan << 20)));
    store(power, splat(0x1p120f));
  }
  template <int i>
  F32 weight(I32 dwords) const {
    const I32 placed = shift_right_signed<4>(shift_left<24 - 8 * i>(dwords)) & as_int(load(kept));
    const Mask is_nan = (placed & as_int(load(magnitude))) == as_int(load(nan));
    return select(is_nan, as_float(splat(0x7fc00000)), as_float(placed) * load(power));
  }
};

/// serve(words) with what decodes these codes.
template <class Serve>
void with_words(const PackedCodes& codes, const Serve& serve) {
  if (codes.bits == 8 && codes.codebook != nullptr) return serve(E4m3Words(codes));
  if (codes.bits == 8) return serve(IntegerWords<8, 4>(codes));
  if (codes.codebook == nullptr && !kExactLooksUp) return serve(IntegerWords<4, 8>(codes));
  serve(TableWords(codes));
}
