// What packed_exact needs for pairs of bf16 beyond the vector layer.

// Of 32 registers: two tiles of one token are 8 chains, which hide the latency of vdpbf16ps; 5 tokens are 20 and leave
// room for the constants of bytes; a group of the panel is 24, 4 weights and an activation.
constexpr std::int64_t kTilesSideBySide = 2;  // of a single token
constexpr int kExactDirectTokens = 5;
constexpr int kExactDirectVectors = 4;
constexpr std::int64_t kExactMostDirect = 12;  // more tokens are cheaper by the panel
constexpr int kExactPanelTokens = 6;
constexpr int kExactPanelVectors = 4;

// a * b + c with one rounding, on every level.
inline F32 fused(F32 a, F32 b, F32 c) { return fma(a, b, c); }
