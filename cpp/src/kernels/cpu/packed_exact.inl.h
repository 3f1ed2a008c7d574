// Mode `exact` over the packed layout: fp32 activations, one FMA a weight. The contract: a run of 64 columns of a block
// is one chain from 0, fma(code's value, x, chain), 4-bit columns in the order 0 4 1 5 2 6 3 7 of every eight; then
// acc = fma(chain, scale, acc). A block with zero points ends with acc = fma(-z * scale or z, sum of its x, acc), that
// sum taken in ascending order.

constexpr std::int64_t kExactRun = 64;

/// The values at scale 1 of column k of a block, one a row of the tile.
inline void packed_column(const PackedLinear& a, const std::uint8_t* codes, std::int64_t k, float* values) {
  for (std::int64_t r = 0; r < kTileRows; ++r) {
    int code;
    if (a.codes.bits == 8) {
      code = codes[(k / 4 * kTileRows + r) * 4 + k % 4];
    } else {
      code = codes[(k / 8 * kTileRows + r) * 4 + k % 4] >> (k % 8 < 4 ? 0 : 4) & 15;
    }
    values[r] = a.codes.codebook != nullptr ? a.codes.codebook[code]
                                            : static_cast<float>((code ^ a.codes.flip) - a.codes.offset);
  }
}

/// Where the i-th column of a run's order lies.
inline std::int64_t column_in_order(const PackedLinear& a, std::int64_t i) {
  return a.codes.bits == 8 ? i : i / 8 * 8 + i % 8 / 2 + i % 2 * 4;
}

std::int64_t packed_exact_scratch(const PackedLinear&) { return 3 * kTileRows; }

void packed_exact(const PackedLinear& a, const float* x, std::int64_t lo, std::int64_t hi, float* scratch) {
  float *acc = scratch, *chain = acc + kTileRows, *values = chain + kTileRows;
  for (std::int64_t tile = lo; tile < hi; ++tile) {
    for (std::int64_t t = 0; t < a.m; ++t) {
      const float* row = x + a.tokens[t] * a.k;
      for (std::int64_t r = 0; r < kTileRows; ++r) acc[r] = 0.0f;
      for (std::int64_t block = 0; block < a.blocks; ++block) {
        const std::uint8_t* at = a.packed + tile * a.tile_bytes + block * a.block_bytes;
        const float* scales = reinterpret_cast<const float*>(at);
        const float* xs = row + block * a.block;
        const std::int64_t columns = a.k - block * a.block < a.block ? a.k - block * a.block : a.block;
        float sum = 0.0f;
        for (std::int64_t k = 0; k < columns; ++k) sum += xs[k];
        for (std::int64_t run = 0; run < columns; run += kExactRun) {
          for (std::int64_t r = 0; r < kTileRows; ++r) chain[r] = 0.0f;
          for (std::int64_t i = run; i < run + kExactRun; ++i) {
            const std::int64_t k = column_in_order(a, i);
            if (k >= columns) continue;
            packed_column(a, at + a.header_bytes, k, values);
            for (std::int64_t r = 0; r < kTileRows; ++r) chain[r] = __builtin_fmaf(values[r], xs[k], chain[r]);
          }
          for (std::int64_t r = 0; r < kTileRows; ++r) acc[r] = __builtin_fmaf(chain[r], scales[r], acc[r]);
        }
        if (a.codes.zeros == PackedZeros::kNone) continue;
        for (std::int64_t r = 0; r < kTileRows; ++r) {
          const float zero = scales[kTileRows + r];
          const float weight = a.codes.zeros == PackedZeros::kInteger ? -zero * scales[r] : zero;
          acc[r] = __builtin_fmaf(weight, sum, acc[r]);
        }
      }
      write_tile(a, t, tile, acc);
    }
  }
}
