// What packed_exact needs of the avx2 level beyond the vector layer.

// Of 16 registers: up to two tokens are 8 chains; a group of the panel is 12, 2 weights and an activation.
constexpr bool kExactLooksUp = false;
constexpr std::int64_t kTilesSideBySide = 1;  // of a single token
constexpr int kExactDirectTokens = 2;
constexpr int kExactDirectVectors = 4;
constexpr std::int64_t kExactMostDirect = 2;  // more tokens are cheaper by the panel
constexpr int kExactPanelTokens = 6;
constexpr int kExactPanelVectors = 2;

// a * b + c with one rounding, on every level.
inline F32 fused(F32 a, F32 b, F32 c) { return fma(a, b, c); }
