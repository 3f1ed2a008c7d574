// What packed_exact needs of the baseline level beyond the vector layer.

// Of 16 registers: a group of the panel is 8 chains, 4 weights, an activation and a product.
constexpr bool kExactLooksUp = false;
constexpr std::int64_t kTilesSideBySide = 1;  // of a single token
constexpr int kExactDirectTokens = 1;
constexpr int kExactDirectVectors = 4;
constexpr std::int64_t kExactMostDirect = 1;  // more tokens are cheaper by the panel
constexpr int kExactPanelTokens = 2;
constexpr int kExactPanelVectors = 4;

// a * b + c with one rounding, on every level.
inline F32 fused(F32 a, F32 b, F32 c) {
  F32 out{};
  for (int i = 0; i < F32::kWidth; ++i) out.v[i] = __builtin_fmaf(a.v[i], b.v[i], c.v[i]);
  return out;
}
