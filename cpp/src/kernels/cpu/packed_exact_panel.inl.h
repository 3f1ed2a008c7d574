// packed_linear, mode `exact`, for many tokens: a chunk of 64 rows x 64 columns is decoded once into the first-level
// cache and multiplied with all tokens. The activations of some chunks and the sums of a few tiles stay in the
// second-level cache meanwhile. The order of the operations is the contract of packed_exact.inl.h.

/// panel [column][64 rows], in the order of the contract.
template <class Codes, int i = 0>
[[gnu::always_inline]] inline void decode_step(const Codes& codes, const std::uint8_t* p, float* panel) {
  if constexpr (i < Codes::kColumns) {
#pragma GCC unroll 16
    for (int v = 0; v < kTileVectors; ++v) {
      store(panel + i * kTileRows + v * F32::kWidth,
            codes.template weight<code_at(Codes::kColumns, i)>(load_dwords(p + v * F32::kWidth * 4)));
    }
    asm volatile("" : : : "memory");  // as in add_step
    decode_step<Codes, i + 1>(codes, p, panel);
  }
}

template <class Codes>
[[gnu::noinline]] void decode_chunk(const Codes& codes, const Chunk& chunk, float* panel) {
  for (std::int64_t step = 0; step < chunk.steps; ++step) {
    decode_step(codes, chunk.codes + step * kStepBytes, panel + step * Codes::kColumns * kTileRows);
  }
}

/// All tokens with one chunk, in groups that differ by one at most: a small last group would load the panel for little.
template <class Codes>
void multiply_chunk(const PackedLinear& a, const Codes& codes, const Chunk& chunk, std::int64_t stride, float* panel,
                    float* acc) {
  decode_chunk(codes, chunk, panel);
  const auto* ahead = reinterpret_cast<const float*>(chunk.codes + chunk.steps * kStepBytes);  // the next chunk
  std::int64_t token = 0;
  for (std::int64_t groups = (a.m + kExactPanelTokens - 1) / kExactPanelTokens; groups > 0; --groups) {
    const std::int64_t size = (a.m - token + groups - 1) / groups;
    const float* x = chunk.x + token * stride;
    add_tokens(size, panel, chunk.steps * Codes::kColumns, x, stride, chunk.header, ahead, acc + token * kTileRows);
    token += size;
    ahead = chunk.x + token * stride;
  }
}

template <class Codes>
void panel_range(const PackedLinear& a, const Codes& codes, const float* x, std::int64_t lo, std::int64_t hi,
                 float* scratch) {
  const Chunks chunks(a);
  const float* sums = x + chunks.floats(a.m);
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
            [&](const Chunk& chunk) { multiply_chunk(a, codes, chunk, chunks.stride, panel, to); },
            [&](const float* header, std::int64_t block) {
              if (a.codes.zeros != PackedZeros::kNone) add_zero_points(a, header, sums + block * a.m, a.m, to);
            });
      }
    }
    for (std::int64_t i = 0; i < tiles; ++i) write_tile(a, lo + i, acc + i * sums_of_tile);
  }
}

template <class Codes>
void exact_range(const PackedLinear& a, const float* x, std::int64_t lo, std::int64_t hi, float* scratch) {
  const Codes codes(a.codes);
  if (a.m <= kExactMostDirect) return direct_range(a, codes, x, lo, hi, scratch);
  panel_range(a, codes, x, lo, hi, scratch);
}

std::int64_t packed_exact_scratch(const PackedLinear& a) { return kPanelFloats + kTilesAtOnce * a.m * kTileRows; }

void packed_exact(const PackedLinear& a, const float* x, std::int64_t lo, std::int64_t hi, float* scratch) {
  if (a.codes.bits == 8) return exact_range<IntegerBytes>(a, x, lo, hi, scratch);
  if (a.codes.codebook == nullptr && !kExactLooksUp) return exact_range<IntegerNibbles>(a, x, lo, hi, scratch);
  exact_range<TableNibbles>(a, x, lo, hi, scratch);
}
