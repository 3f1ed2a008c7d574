// What quantized_linear needs of the baseline level beyond the vector layer.

// Of 16 registers: a panel tile holds 8 sums, 2 activations, a weight and a product.
constexpr int kMostDirectTokens = 1;  // more are cheaper by the panel
constexpr int kDirectTokens = 1;
constexpr int direct_rows(int) { return 2; }
constexpr int kPanelRows = 4;
constexpr int kPanelTokens = 2;

// 4 lanes of kCodes consecutive 4-bit codes each, in memory order; weight<shift> reads those at one bit position.
template <int kCodes>
inline I32 load_lanes(const std::uint8_t* p) {
  I32 lanes{};
  for (int lane = 0; lane < 4; ++lane) {
    for (int byte = 0; byte < kCodes / 2; ++byte) lanes.v[lane] |= p[lane * (kCodes / 2) + byte] << (8 * byte);
  }
  return lanes;
}

// The 16 weights that the codes of one block stand for: value * scale + zero, worked out where they are looked up.
struct BlockTable {
  Table16 codebook;
  F32 scale, zero;
};
inline BlockTable block_table(Table16 codebook, float scale, float zero) {
  return {codebook, splat(scale), splat(zero)};
}
template <int kShift>
inline F32 weight(I32 codes, BlockTable table) {
  return lookup(table.codebook, shift_right<kShift>(codes) & splat(15)) * table.scale + table.zero;
}

inline void sum4(F32 a, F32 b, F32 c, F32 d, float* out) {
  out[0] = sum(a);
  out[1] = sum(b);
  out[2] = sum(c);
  out[3] = sum(d);
}

inline F32 in_register(F32 a) { return a; }
