// The codes of a dword, and integers made of them.

inline I32 load_dwords(const std::uint8_t* p) { return as_int(load(reinterpret_cast<const float*>(p))); }

/// The integer zero points of a vector of rows from `row` on, which follow the scales of a block as bytes.
inline I32 integer_zeros(const float* header, std::int64_t row) {
  return load_u8(reinterpret_cast<const std::uint8_t*>(header + kTileRows) + row);
}

/// Which code of a dword of `columns` is the i-th in the order of the contract.
constexpr int code_at(int columns, int i) { return columns == 8 ? i / 2 + (1 - i % 2) * 4 : i; }

template <int kShift>
inline I32 shifted(I32 dwords) {
  if constexpr (kShift == 0) return dwords;
  return shift_right<kShift>(dwords);
}

/// Integer codes without a conversion: the bits of a code become the last places of 2^(23 - place), where they are
/// worth just what they say; then that power and the offset are taken away. Both steps are exact. The constants wait in
/// memory: in registers they would displace the sums.
template <int kBits, int kColumns>
struct IntegerCodes {
  static constexpr int kInPlace = 23 / kBits;  // as many lie within the mantissa; the others are shifted there
  struct Place {
    float code[F32::kWidth];    // its bits
    float power[F32::kWidth];   // and what turns two's complement around
    float excess[F32::kWidth];  // the power and the offset
  } places[kInPlace];

  explicit IntegerCodes(const PackedCodes& codes) {
    for (int i = 0; i < kInPlace; ++i) {
      const int bit = kBits * i, exponent = 23 - bit;
      store(places[i].code, as_float(splat(((1 << kBits) - 1) << bit)));
      store(places[i].power, as_float(splat((127 + exponent) << 23 | codes.flip << bit)));
      store(places[i].excess, splat(static_cast<float>((1 << exponent) + codes.offset)));
    }
  }
  /// Of the i-th column in the order of the contract.
  template <int i>
  F32 weight(I32 dwords) const {
    constexpr int kCode = code_at(kColumns, i), kPlace = kCode < kInPlace ? kCode : kCode + kInPlace - kColumns;
    const Place& at = places[kPlace];
    const I32 code = shifted<kBits*(kCode - kPlace)>(dwords) & as_int(load(at.code));
    return as_float(code ^ as_int(load(at.power))) - load(at.excess);
  }
};
using IntegerBytes = IntegerCodes<8, 4>;
