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

/// serve(words) with what decodes these codes.
template <class Serve>
void with_words(const PackedCodes& codes, const Serve& serve) {
  if (codes.bits == 8) return serve(IntegerWords<8, 4>(codes));
  if (codes.codebook == nullptr && !kExactLooksUp) return serve(IntegerWords<4, 8>(codes));
  serve(TableWords(codes));
}
