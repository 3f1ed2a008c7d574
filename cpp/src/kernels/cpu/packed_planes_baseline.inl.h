// What packed_planes needs of the baseline level beyond the vector layer.

inline I32 load_int(const std::int32_t* p) { return {i32x4{p[0], p[1], p[2], p[3]}}; }
inline I32 operator*(I32 a, I32 b) { return {a.v * b.v}; }
/// Half to even for |a| < 2^23: round_to_int reaches 2^22 only.
inline I32 round_wide(F32 a) {
  const F32 magic = splat(0x1p23f), zero = splat(0.0f);
  const F32 m = max(a, zero - a);
  const F32 rounded = (m + magic) - magic;
  const I32 whole{__builtin_convertvector(rounded.v, i32x4)};
  return select(zero > a, splat(0) - whole, whole);
}

void unpack_panel(const std::uint8_t* codes, std::int64_t octets, const std::uint8_t* table, std::uint8_t* panel) {
  constexpr std::int64_t kQuad = kTileRows * 4;
  for (std::int64_t octet = 0; octet < octets; ++octet, codes += kQuad, panel += 2 * kQuad) {
    for (std::int64_t i = 0; i < kQuad; ++i) {
      panel[i] = table[codes[i] & 15];
      panel[kQuad + i] = table[codes[i] >> 4];
    }
  }
}
