// What sparse_by_group.inl.h needs of the baseline level beyond the vector layer.

constexpr int kSparseRegisterGroups = 1;  // whose sums are in registers at a time
constexpr int kSparseDirectTokens = 1;    // that a weight is multiplied with as it is expanded
constexpr int kSparseDirectTiles = 1;     // side by side, then
constexpr int kSparseUnroll = 1;          // columns

/// The next dwords of a stream in the lanes of `mask`, zeros in the others; p moves on behind them.
inline I32 expand(std::uint32_t mask, const std::uint8_t*& p) {
  float lanes[4];  // lane by lane through memory: the compiler would keep half-made vectors there
  for (int lane = 0; lane < 4; ++lane) {
    const std::uint32_t bit = mask >> lane & 1;
    std::uint32_t dword;
    __builtin_memcpy(&dword, p, 4);
    dword &= 0u - bit;
    asm("" : "+r"(dword));
    __builtin_memcpy(&lanes[lane], &dword, 4);
    p += 4 * bit;
  }
  return as_int(load(lanes));
}
