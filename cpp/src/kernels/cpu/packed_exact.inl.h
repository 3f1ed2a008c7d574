// Mode `exact` of packed_linear: fp32 activations, one FMA a weight. Rows of W run along the lanes, so a weight is
// decoded from its dword in place and nothing is added across lanes. Two paths, one result: add_chunk decodes into
// registers and serves few tokens (rows of x); packed_exact_panel.inl.h decodes into the cache and serves many.
//
// The contract. A weight is its value at scale 1. The columns of a block form chunks of 64. A chunk is one chain from
// 0, chain = fma(weight, x, chain), in the order 2 0 6 4 3 1 7 5 of every eight columns of 4-bit codes (of a dword
// shifted by 0, 4, 8 and 12 bits, what the high and then the low half begins with: the order of vdpbf16ps), 8-bit codes
// as they come. Then acc = fma(chain, scale, acc), chunks ascending. A block with a zero point ends with
// acc = fma(-z * scale or z, sum of its x, acc), that sum taken in ascending order. So the bits of an output depend on
// its row of x and of W alone; the levels with a fused fma give equal bits, the baseline rounds products first.

constexpr std::int64_t kStepBytes = kTileRows * 4;  // a dword for each row
constexpr int kPrefetch = 8192;                     // bytes ahead of the codes, straight into the first cache

/// How the columns fall into chunks and into steps of kColumns, the last of a block padded.
struct Chunks {
  std::int64_t columns_per_step, block, per_block, stride, count;  // stride: words of x in a chunk

  explicit Chunks(const PackedLinear& a)
      : columns_per_step(a.codes.bits == 8 ? 4 : 8),
        block(a.block < a.k ? a.block : a.k),
        per_block((block + kChunk - 1) / kChunk),
        stride((block < kChunk ? steps(block) * columns_per_step : kChunk) / kWordColumns),
        count((a.blocks - 1) * per_block + (a.k - (a.blocks - 1) * block + kChunk - 1) / kChunk) {}

  std::int64_t steps(std::int64_t columns) const { return (columns + columns_per_step - 1) / columns_per_step; }
  std::int64_t words(std::int64_t tokens) const { return count * tokens * stride; }
};

/// A chunk of a tile: `steps` steps of codes, the header of its block, and the activations [m][stride], in words.
struct Chunk {
  const std::uint8_t* codes;
  std::int64_t steps;
  const float* header;
  const float* x;
};

/// chunk_body for the chunks [lo, hi) of a tile in order, block_end(header, block) after the last one of a block.
template <class ChunkBody, class BlockEnd>
[[gnu::always_inline]] inline void for_chunks(const PackedLinear& a, const Chunks& chunks, const float* x,
                                              std::int64_t tile, std::int64_t lo, std::int64_t hi,
                                              const ChunkBody& chunk_body, const BlockEnd& block_end) {
  const std::int64_t steps_per_chunk = kChunk / chunks.columns_per_step;
  for (std::int64_t chunk = lo; chunk < hi;) {
    const std::int64_t block = chunk / chunks.per_block, first = block * chunks.per_block;
    const std::int64_t columns = block + 1 < a.blocks ? chunks.block : a.k - block * chunks.block;
    const std::int64_t steps = chunks.steps(columns), last = first + (columns + kChunk - 1) / kChunk;
    const std::uint8_t* at = a.packed + tile * a.tile_bytes + block * a.block_bytes;
    const auto* header = reinterpret_cast<const float*>(at);
    for (; chunk < last && chunk < hi; ++chunk) {
      const std::int64_t step = (chunk - first) * steps_per_chunk;
      chunk_body(Chunk{.codes = at + a.header_bytes + step * kStepBytes,
                       .steps = steps - step < steps_per_chunk ? steps - step : steps_per_chunk,
                       .header = header,
                       .x = x + chunk * a.m * chunks.stride});
    }
    if (chunk == last) block_end(header, block);
  }
}

/// acc [tokens][64] at the end of a block with zero points; sums [tokens].
inline void add_zero_points(const PackedLinear& a, const float* header, const float* sums, std::int64_t tokens,
                            float* acc) {
  for (int v = 0; v < kTileVectors; ++v) {
    const std::int64_t row = v * F32::kWidth;
    const F32 shift = a.codes.zeros == PackedZeros::kFloat
                          ? load(header + kTileRows + row)
                          : splat(-0.0f) - to_float(integer_zeros(header, row)) * load(header + row);
    for (std::int64_t t = 0; t < tokens; ++t) {
      float* to = acc + t * kTileRows + row;
      store(to, fma(shift, splat(sums[t]), load(to)));
    }
  }
}

/// Columns 2 0 6 4 3 1 7 5 of eight.
inline void store_octet(const float* from, float* to) {
  typedef float Four __attribute__((vector_size(16), aligned(4), may_alias));
  const Four low = *reinterpret_cast<const Four*>(from), high = *reinterpret_cast<const Four*>(from + 4);
  *reinterpret_cast<Four*>(to) = __builtin_shufflevector(low, high, 2, 0, 6, 4);
  *reinterpret_cast<Four*>(to + 4) = __builtin_shufflevector(low, high, 3, 1, 7, 5);
}

/// One chunk of one token in the order of the contract, padded with zeros to whole steps.
inline void order_chunk(const float* from, std::int64_t columns, std::int64_t columns_per_step, float* to) {
  std::int64_t i = 0;
  for (; i + columns_per_step <= columns; i += columns_per_step) {
    if (columns_per_step == 8) {
      store_octet(from + i, to + i);
    } else {
      __builtin_memcpy(to + i, from + i, 4 * sizeof(float));
    }
  }
  if (i == columns) return;
  float rest[8] = {};
  __builtin_memcpy(rest, from + i, static_cast<std::size_t>(columns - i) * sizeof(float));
  order_chunk(rest, columns_per_step, columns_per_step, to + i);
}

/// The sums of `count` <= 8 neighbouring blocks: additions wait for each other, blocks need not.
inline void sum_blocks(const float* x, std::int64_t columns, int count, float* sums, std::int64_t sums_stride) {
  float sum[8] = {};
  for (std::int64_t i = 0; i < columns; ++i) {
    for (int b = 0; b < count; ++b) sum[b] += x[b * columns + i];
  }
  for (int b = 0; b < count; ++b) sums[b * sums_stride] = sum[b];
}

/// Words that exact_activations writes: [chunk][m][stride], then, where there are zero points, sums [block][m].
std::int64_t exact_activations_size(const PackedLinear& a) {
  return Chunks(a).words(a.m) + (a.codes.zeros == PackedZeros::kNone ? 0 : a.blocks * a.m);
}

void exact_activations(const PackedLinear& a, const float* x, std::int64_t lo, std::int64_t hi, float* packed) {
  const Chunks chunks(a);
  float* sums = packed + chunks.words(a.m);
  for (std::int64_t t = lo; t < hi; ++t) {
    const float* row = x + a.tokens[t] * a.k;
    for (std::int64_t chunk = 0; chunk < chunks.count; ++chunk) {
      const std::int64_t block = chunk / chunks.per_block;
      const std::int64_t first = block * chunks.block + (chunk - block * chunks.per_block) * kChunk;
      const std::int64_t end = block + 1 < a.blocks ? (block + 1) * chunks.block : a.k;
      const std::int64_t columns = end - first < kChunk ? end - first : kChunk;
      float ordered[kChunk];
      order_chunk(row + first, columns, chunks.columns_per_step, ordered);
      store_words(ordered, chunks.steps(columns) * chunks.columns_per_step, packed + (chunk * a.m + t) * chunks.stride);
    }
    if (a.codes.zeros == PackedZeros::kNone) continue;
    std::int64_t block = 0;
    for (; block + 8 < a.blocks; block += 8) {
      sum_blocks(row + block * chunks.block, chunks.block, 8, sums + block * a.m + t, a.m);
    }
    for (; block < a.blocks; ++block) {
      const std::int64_t first = block * chunks.block;
      const std::int64_t columns = a.k - first < chunks.block ? a.k - first : chunks.block;
      sum_blocks(row + first, columns, 1, sums + block * a.m + t, a.m);
    }
  }
}

template <int kBytes>
[[gnu::always_inline]] inline void prefetch_codes(const std::uint8_t* p) {
#pragma GCC unroll 8
  for (int line = 0; line < kBytes; line += 64) __builtin_prefetch(p + line + kPrefetch, 0, 3);
}

/// The bytes that the stream advances by between two blocks, beside those of the codes that prefetch_codes goes with.
inline void prefetch_header(const PackedLinear& a, const float* header) {
  const std::uint8_t* next = reinterpret_cast<const std::uint8_t*>(header) + a.block_bytes;
  for (std::int64_t line = 0; line < a.header_bytes; line += 64) __builtin_prefetch(next + line + kPrefetch, 0, 3);
}

/// Where vector v of rows starts that may go on into the next tile, in bytes of dwords.
inline std::int64_t vector_offset(int v, std::int64_t tile_bytes) {
  return v / kTileVectors * tile_bytes + v % kTileVectors * F32::kWidth * 4;
}

template <class Words, int i = 0, int kTokens, int kVectors>
[[gnu::always_inline]] inline void add_step(const Words& words, const std::uint8_t* p, std::int64_t tile_bytes,
                                            const float* x, std::int64_t stride, F32 (&chain)[kTokens][kVectors]) {
  if constexpr (i < Words::kWords) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      const F32 w = words.template weight<i>(load_dwords(p + vector_offset(v, tile_bytes)));
#pragma GCC unroll 8
      for (int t = 0; t < kTokens; ++t) chain[t][v] = add_products(w, splat(x[t * stride + i]), chain[t][v]);
    }
    asm volatile("" : : : "memory");  // or the dwords of all rows would be kept, and with them the registers
    add_step<Words, i + 1>(words, p, tile_bytes, x, stride, chain);
  }
}

/// acc [tile][kTokens][64] gains one chunk: kVectors vectors of rows from `row` on, which may go on into the next tile.
template <class Words, int kTokens, int kVectors>
[[gnu::noinline]] void add_chunk(const Words& words, Chunk chunk, std::int64_t row, std::int64_t tile_bytes,
                                 std::int64_t stride, float* acc) {
  constexpr int kBytes = kVectors * F32::kWidth * 4;
  F32 chain[kTokens][kVectors];
#pragma GCC unroll 8
  for (int t = 0; t < kTokens; ++t) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) chain[t][v] = splat(0.0f);
  }
  const std::uint8_t* p = chunk.codes + row * 4;
  for (std::int64_t step = 0; step < chunk.steps; ++step, p += kStepBytes, chunk.x += Words::kWords) {
    prefetch_codes < kBytes<kStepBytes ? kBytes : kStepBytes>(p);
    if constexpr (kBytes > kStepBytes) prefetch_codes<kBytes - kStepBytes>(p + tile_bytes);
    add_step<Words>(words, p, tile_bytes, chunk.x, stride, chain);
  }
#pragma GCC unroll 8
  for (int t = 0; t < kTokens; ++t) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      const F32 scale = load(chunk.header + row + vector_offset(v, tile_bytes) / 4);
      float* to = acc + (v / kTileVectors * kTokens + t) * kTileRows + row + v % kTileVectors * F32::kWidth;
      store(to, fma(chain[t][v], scale, load(to)));
    }
  }
}

/// add_chunk for all rows of a tile and tokens <= kTokens tokens.
template <class Words, int kTokens = kExactDirectTokens>
void add_chunk_tokens(const Words& words, const Chunk& chunk, std::int64_t tokens, std::int64_t stride, float* acc) {
  if (tokens == kTokens) {
    for (std::int64_t row = 0; row < kTileRows; row += kExactDirectVectors * F32::kWidth) {
      add_chunk<Words, kTokens, kExactDirectVectors>(words, chunk, row, 0, stride, acc);
    }
  } else if constexpr (kTokens > 1) {
    add_chunk_tokens<Words, kTokens - 1>(words, chunk, tokens, stride, acc);
  }
}

/// kTiles tiles from `tile` on; more than one go side by side and serve a single token.
template <class Words, std::int64_t kTiles>
void direct_tiles(const PackedLinear& a, const Words& words, const float* x, std::int64_t tile, float* acc) {
  const Chunks chunks(a);
  const float* sums = x + chunks.words(a.m);
  const std::int64_t sums_of_tile = a.m * kTileRows;
  for (std::int64_t i = 0; i < kTiles * sums_of_tile; ++i) acc[i] = 0.0f;
  const auto add = [&](Chunk chunk) {
    if constexpr (kTiles > 1) {
      add_chunk<Words, 1, kTiles * kTileVectors>(words, chunk, 0, a.tile_bytes, chunks.stride, acc);
    } else {  // in groups that differ by one token at most: a small last group would decode the codes for few products
      std::int64_t token = 0;
      for (std::int64_t groups = (a.m + kExactDirectTokens - 1) / kExactDirectTokens; groups > 0; --groups) {
        const std::int64_t size = (a.m - token + groups - 1) / groups;
        add_chunk_tokens(words, chunk, size, chunks.stride, acc + token * kTileRows);
        token += size;
        chunk.x += size * chunks.stride;
      }
    }
  };
  const auto end_block = [&](const float* header, std::int64_t block) {
    for (std::int64_t i = 0; i < kTiles; ++i) prefetch_header(a, header + i * a.tile_bytes / 4);
    if (a.codes.zeros == PackedZeros::kNone) return;
    for (std::int64_t i = 0; i < kTiles; ++i) {
      add_zero_points(a, header + i * a.tile_bytes / 4, sums + block * a.m, a.m, acc + i * sums_of_tile);
    }
  };
  for_chunks(a, chunks, x, tile, 0, chunks.count, add, end_block);
  for (std::int64_t i = 0; i < kTiles; ++i) write_tile(a, tile + i, acc + i * sums_of_tile);
}

template <class Words>
void direct_range(const PackedLinear& a, const Words& words, const float* x, std::int64_t lo, std::int64_t hi,
                  float* scratch) {
  if constexpr (kTilesSideBySide > 1) {
    for (; a.m == 1 && hi - lo >= kTilesSideBySide; lo += kTilesSideBySide) {
      direct_tiles<Words, kTilesSideBySide>(a, words, x, lo, scratch);
    }
  }
  for (; lo < hi; ++lo) direct_tiles<Words, 1>(a, words, x, lo, scratch);
}
