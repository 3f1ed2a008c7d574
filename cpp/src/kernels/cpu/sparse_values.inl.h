// The values of a sparse weight as fp32, multiplied in fp32.

/// What kinds of values have in common: value<place>(dwords) is of one place, step<i>(line) of the i-th column in it.
template <class Values, int places>
struct SparseColumns {
  static constexpr int kPlaces = places, kSteps = places;
  template <int i, class Line>
  [[gnu::always_inline]] static F32 step(const Line& line) {
    return Values::template value<places - 1 - i>(line.values);
  }
};

struct SparseFloats : SparseColumns<SparseFloats, 1> {
  template <int place>
  static F32 value(I32 dwords) {
    return as_float(dwords);
  }
};

struct SparseBFloats : SparseColumns<SparseBFloats, 2> {
  template <int place>
  static F32 value(I32 dwords) {
    if constexpr (place == 0) return as_float(shift_left<16>(dwords));
    return as_float(dwords & splat(static_cast<std::int32_t>(0xffff0000)));
  }
};

struct SparseHalves : SparseColumns<SparseHalves, 2> {
  template <int place>
  static F32 value(I32 dwords) {  // rescaling the exponent is exact for subnormals too
    const I32 high = place == 0 ? shift_left<16>(dwords) : dwords;
    const I32 magnitude = shift_right<3>(high & splat(0x7fff0000));
    const I32 finite = as_int(as_float(magnitude) * splat(0x1p112f));
    const I32 special = magnitude + splat(0x70000000);  // infinity and NaN: exponent 31 becomes 255
    const I32 bits = select(magnitude > splat(0x0f7fffff), special, finite);
    return as_float(bits | (high & splat(static_cast<std::int32_t>(0x80000000))));
  }
};

/// Of the bits of an int8 in the low byte: the last places of 2^23 + 128 + code, two's complement turned around.
inline F32 byte_value(I32 bytes) { return as_float(bytes ^ splat(0x4b000080)) - splat(8388736.0f); }
