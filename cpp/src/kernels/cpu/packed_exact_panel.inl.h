// packed_linear, mode `exact`, for many tokens: a chunk of 64 rows x 64 columns is decoded once into the first-level
// cache and multiplied with all tokens. The activations of some chunks and the sums of a few tiles stay in the
// second-level cache meanwhile. The order of the operations is the contract of packed_exact.inl.h.

/// panel [word][64 rows], in the order of the contract.
template <class Words, int i = 0>
[[gnu::always_inline]] inline void decode_step(const Words& words, const std::uint8_t* p, float* panel) {
  if constexpr (i < Words::kWords) {
#pragma GCC unroll 16
    for (int v = 0; v < kTileVectors; ++v) {
      store(panel + i * kTileRows + v * F32::kWidth, words.template weight<i>(load_dwords(p + v * F32::kWidth * 4)));
    }
    asm volatile("" : : : "memory");  // as in add_step
    decode_step<Words, i + 1>(words, p, panel);
  }
}

template <class Words>
[[gnu::noinline]] void decode_chunk(const Words& words, const Chunk& chunk, float* panel) {
  for (std::int64_t step = 0; step < chunk.steps; ++step) {
    decode_step(words, chunk.codes + step * kStepBytes, panel + step * Words::kWords * kTileRows);
  }
}

/// All tokens with one chunk, in groups that differ by one at most: a small last group would load the panel for little.
template <class Words>
void multiply_chunk(const PackedLinear& a, const Words& words, const Chunk& chunk, std::int64_t stride, float* panel,
                    float* acc) {
  decode_chunk(words, chunk, panel);
  const auto* ahead = reinterpret_cast<const float*>(chunk.codes + chunk.steps * kStepBytes);  // the next chunk
  std::int64_t token = 0;
  for (std::int64_t groups = (a.m + kExactPanelTokens - 1) / kExactPanelTokens; groups > 0; --groups) {
    const std::int64_t size = (a.m - token + groups - 1) / groups;
    const float* x = chunk.x + token * stride;
    add_tokens(size, panel, chunk.steps * Words::kWords, x, stride, chunk.header, ahead, acc + token * kTileRows);
    token += size;
    ahead = chunk.x + token * stride;
  }
}

template <class Words>
void panel_range(const PackedLinear& a, const Words& words, const float* x, std::int64_t lo, std::int64_t hi,
                 float* scratch) {
  const Chunks chunks(a);
  const float* sums = x + chunks.words(a.m);
  const std::int64_t fitting = kActivationsAtOnce / (a.m * chunks.stride), at_once = fitting > 0 ? fitting : 1;
  const std::int64_t sums_of_tile = a.m * kTileRows;
  float *panel = scratch, *acc = panel + kPanelFloats;
  for (; lo < hi; lo += kTilesAtOnce) {
    const std::int64_t tiles = hi - lo < kTilesAtOnce ? hi - lo : kTilesAtOnce;
    for (std::int64_t i = 0; i < tiles * sums_of_tile; ++i) acc[i] = 0.0f;
    for (std::int64_t first = 0; first < chunks.count; first += at_once) {
      const std::int64_t end = chunks.count - first < at_once ? chunks.count : first + at_once;
      for (std::int64_t i = 0; i < tiles; ++i) {
        float* to = acc + i * sums_of_tile;
        for_chunks(
            a, chunks, x, lo + i, first, end,
            [&](const Chunk& chunk) { multiply_chunk(a, words, chunk, chunks.stride, panel, to); },
            [&](const float* header, std::int64_t block) {
              if (a.codes.zeros != PackedZeros::kNone) add_zero_points(a, header, sums + block * a.m, a.m, to);
            });
      }
    }
    for (std::int64_t i = 0; i < tiles; ++i) write_tile(a, lo + i, acc + i * sums_of_tile);
  }
}

template <class Words>
void exact_range(const PackedLinear& a, const Words& words, const float* x, std::int64_t lo, std::int64_t hi,
                 float* scratch) {
  if (a.m <= kExactMostDirect) return direct_range(a, words, x, lo, hi, scratch);
  panel_range(a, words, x, lo, hi, scratch);
}

std::int64_t packed_exact_scratch(const PackedLinear& a) { return kPanelFloats + kTilesAtOnce * a.m * kTileRows; }

void packed_exact(const PackedLinear& a, const float* x, std::int64_t lo, std::int64_t hi, float* scratch) {
  with_words(a.codes, [&](const auto& words) { exact_range(a, words, x, lo, hi, scratch); });
}
