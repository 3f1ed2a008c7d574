// How a product with packed weights ends: the sums of a tile, plus bias, plus LoRA, go to y.
// y = acc + bias, then y = fma(lora_z[r], lora_b[r], y) over r ascending: the same bits on every level.

/// acc [m][kTileRows] += lora_z lora_b^T. The rows of lora_b are brought into lanes a few ranks at a time.
void add_lora(const PackedLinear& a, std::int64_t first, std::int64_t rows, float* acc) {
  constexpr std::int64_t kRanks = 16;
  float lanes[kRanks * kTileRows] = {};
  for (std::int64_t rank = 0; rank < a.lora_rank; rank += kRanks) {
    const std::int64_t ranks = a.lora_rank - rank < kRanks ? a.lora_rank - rank : kRanks;
    for (std::int64_t i = 0; i < rows; ++i) {
      for (std::int64_t r = 0; r < ranks; ++r)
        lanes[r * kTileRows + i] = a.lora_b[(first + i) * a.lora_rank + rank + r];
    }
    for (std::int64_t t = 0; t < a.m; ++t) {
      const float* z = a.lora_z + a.tokens[t] * a.lora_rank + rank;
      for (std::int64_t i = 0; i < kTileRows; i += F32::kWidth) {
        F32 sum = load(acc + t * kTileRows + i);
        for (std::int64_t r = 0; r < ranks; ++r) sum = fused(splat(z[r]), load(lanes + r * kTileRows + i), sum);
        store(acc + t * kTileRows + i, sum);
      }
    }
  }
}

/// The columns of y that a tile holds, from its sums acc [m][kTileRows], which are used up.
void write_tile(const PackedLinear& a, std::int64_t tile, float* acc) {
  const std::int64_t first = tile * kTileRows, rows = a.n - first < kTileRows ? a.n - first : kTileRows;
  if (a.bias != nullptr) {
    for (std::int64_t t = 0; t < a.m; ++t) {
      for (std::int64_t i = 0; i < rows; ++i) acc[t * kTileRows + i] += a.bias[first + i];
    }
  }
  if (a.lora_rank > 0) add_lora(a, first, rows, acc);
  for (std::int64_t t = 0; t < a.m; ++t) {
    __builtin_memcpy(a.y + a.tokens[t] * a.n + first, acc + t * kTileRows, static_cast<std::size_t>(rows) * 4);
  }
}
