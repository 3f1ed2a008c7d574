// How a product with packed weights ends: sums of a tile, plus bias, plus LoRA, to a row of y.

/// Columns [tile * kTileRows, ...) of the row of y that belongs to token t, whose sums are acc[kTileRows].
/// y = acc + bias, then y = fma(lora_z[r], lora_b[r], y) over r ascending.
void write_tile(const PackedLinear& a, std::int64_t t, std::int64_t tile, const float* acc) {
  const std::int64_t token = a.tokens[t], first = tile * kTileRows;
  const std::int64_t columns = a.n - first < kTileRows ? a.n - first : kTileRows;
  float* y = a.y + token * a.n + first;
  for (std::int64_t i = 0; i < columns; ++i) {
    float sum = a.bias == nullptr ? acc[i] : acc[i] + a.bias[first + i];
    for (std::int64_t r = 0; r < a.lora_rank; ++r) {
      sum = __builtin_fmaf(a.lora_z[token * a.lora_rank + r], a.lora_b[(first + i) * a.lora_rank + r], sum);
    }
    y[i] = sum;
  }
}
