// The product with a panel: a chunk of columns of a tile whose weights lie in the first-level cache as words. Rows of W
// run along the lanes. The activations of some chunks and the sums of a few tiles stay in the second-level cache
// meanwhile.

constexpr std::int64_t kChunk = 64;  // columns of one chain
constexpr int kTileVectors = kTileRows / F32::kWidth;
constexpr std::int64_t kTilesAtOnce = 4;
constexpr std::int64_t kActivationsAtOnce = 32768;  // words, beside the sums of kTilesAtOnce tiles
constexpr std::int64_t kPanelFloats = kTileRows * kChunk / kWordColumns;

/// acc [kTokens][64] gains the chunk in the panel, with activations x [kTokens][stride]; scales [64]. A line of `ahead`
/// is fetched with every word.
template <int kTokens>
[[gnu::noinline]] void add_decoded(const float* panel, std::int64_t words, const float* x, std::int64_t stride,
                                   const float* scales, const float* ahead, float* acc) {
  for (std::int64_t row = 0; row < kTileRows; row += kExactPanelVectors * F32::kWidth) {
    F32 chain[kTokens][kExactPanelVectors];
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t) {
#pragma GCC unroll 8
      for (int v = 0; v < kExactPanelVectors; ++v) chain[t][v] = splat(0.0f);
    }
    for (std::int64_t k = 0; k < words; ++k) {
      if (row == 0) __builtin_prefetch(ahead + 16 * k);
      F32 w[kExactPanelVectors];
#pragma GCC unroll 8
      for (int v = 0; v < kExactPanelVectors; ++v) w[v] = load(panel + k * kTileRows + row + v * F32::kWidth);
#pragma GCC unroll 8
      for (int t = 0; t < kTokens; ++t) {
        const F32 xs = in_register(splat(x[t * stride + k]));
#pragma GCC unroll 8
        for (int v = 0; v < kExactPanelVectors; ++v) chain[t][v] = add_products(w[v], xs, chain[t][v]);
      }
    }
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t) {
#pragma GCC unroll 8
      for (int v = 0; v < kExactPanelVectors; ++v) {
        float* to = acc + t * kTileRows + row + v * F32::kWidth;
        store(to, fma(chain[t][v], load(scales + row + v * F32::kWidth), load(to)));
      }
    }
  }
}

/// add_decoded for tokens <= kTokens tokens.
template <int kTokens = kExactPanelTokens>
void add_tokens(std::int64_t tokens, const float* panel, std::int64_t words, const float* x, std::int64_t stride,
                const float* scales, const float* ahead, float* acc) {
  if (tokens == kTokens) return add_decoded<kTokens>(panel, words, x, stride, scales, ahead, acc);
  if constexpr (kTokens > 1) add_tokens<kTokens - 1>(tokens, panel, words, x, stride, scales, ahead, acc);
}
