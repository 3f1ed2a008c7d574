// The integer modes over the packed layout. For every block of columns and every digit plane p of the activations,
// S_p = sum of (code - offset - zero) * digit, exactly; f = float(S_top), then f = fma(f, 256, float(S_p)) down to
// plane 0; acc = fma(f, scale * step, acc), and with float zero points acc = fma(X, zero * step, acc), X the same fold
// of the sums of the digits. Blocks ascend. A codebook of i16 is two byte tables, its values being high * 256 + low:
// S_2 = high d_1, S_1 = high d_0 + low d_1, S_0 = low d_0.
//
// A *line* here is one plane of one token: up to kLines of them are multiplied at a time. Few lines take the packed
// codes apart in registers; many read a panel of bytes [quad of columns][kTileRows][4], unpacked once into the first
// cache. Sums are integers, so the way does not show in the result.

constexpr int kLines = 6;
constexpr std::int64_t kPanelColumns = 256;
constexpr std::int64_t kPanelBytes = kPanelColumns * kTileRows;
constexpr std::int64_t kDirectGroups = 2;  // up to so many groups of lines, taking codes apart anew beats a panel

/// The bytes of round(value * kCodebookUnit) for 16 codebook values: high + 128, and low.
struct CodebookBytes {
  alignas(16) std::uint8_t high[16], low[16];
  explicit CodebookBytes(const float* codebook) {
    if (codebook == nullptr) return;
    for (int i = 0; i < 16; ++i) {
      const float scaled = codebook[i] * kCodebookUnit;  // |scaled| < 2^15: the sum below rounds it half to even
      const auto value = static_cast<std::int32_t>((scaled + 12582912.0f) - 12582912.0f);
      low[i] = static_cast<std::uint8_t>(value & 255);
      high[i] = static_cast<std::uint8_t>(((value - low[i]) >> 8) + 128);
    }
  }
};

/// Sums over the columns [first, first + columns) of a block for the lines from `digits` on, by one of the ways.
struct PlaneColumns {
  const std::uint8_t* codes;  ///< packed
  const std::uint8_t* panel;  ///< of these columns, or null: take the codes
  std::int64_t columns;       ///< padded to whole dwords
  int bits, flip;
};
template <int kR>
void plane_sums(const PlaneColumns& from, const std::int8_t* digits, std::int64_t stride, bool add,
                std::int32_t* sums) {
  if (from.panel != nullptr) return byte_sums<kR>(from.panel, from.columns / 4, 0, digits, stride, add, sums);
  if (from.bits == 8) return byte_sums<kR>(from.codes, from.columns / 4, from.flip, digits, stride, add, sums);
  nibble_sums<kR>(from.codes, from.columns / 8, digits, stride, add, sums);
}
template <int kR = kLines>
void plane_sums(std::int64_t lines, const PlaneColumns& from, const std::int8_t* digits, std::int64_t stride, bool add,
                std::int32_t* sums) {
  if (lines == kR) return plane_sums<kR>(from, digits, stride, add, sums);
  if constexpr (kR > 1) plane_sums<kR - 1>(lines, from, digits, stride, add, sums);
}

/// acc [kTileRows] of one token += one block. sums are those of its planes [levels][kTileRows], lowest first, the
/// offset still in them: `corrections` [levels] times it, and the integer zero point times the sums of the digits.
template <int kLevels>
void fold_block(const PackedLinear& a, const float* scales, const ActivationBlock& x, const std::int32_t* const* sums,
                const std::int32_t* corrections, float* acc) {
  float digits = 0.0f;  // X, what all codes being 1 would give
  for (int p = kLevels - 1; p >= 0; --p) digits = digits * 256.0f + static_cast<float>(x.sums[p]);
  for (std::int64_t r = 0; r < kTileRows; r += F32::kWidth) {
    F32 f = splat(0.0f);
    for (int p = kLevels - 1; p >= 0; --p) {
      I32 sum = as_int(load(reinterpret_cast<const float*>(sums[p] + r))) - splat(corrections[p]);
      if (a.codes.zeros == PackedZeros::kInteger) {
        sum = sum - round_to_int(load(scales + kTileRows + r)) * splat(x.sums[p]);
      }
      f = p == kLevels - 1 ? to_float(sum) : fma(f, splat(256.0f), to_float(sum));  // * 256 is exact: rounds once
    }
    F32 y = fused(f, load(scales + r) * splat(x.step), load(acc + r));
    if (a.codes.zeros == PackedZeros::kFloat) {
      y = fused(splat(digits), load(scales + kTileRows + r) * splat(x.step), y);
    }
    store(acc + r, y);
  }
}

/// fold_block for the planes of an integer format, whose sums lie [planes][kTileRows].
template <int kPlanes>
void fold_integers(const PackedLinear& a, const float* scales, const ActivationBlock& x, const std::int32_t* sums,
                   float* acc) {
  const std::int32_t* planes[kPlanes];
  std::int32_t corrections[kPlanes];
  for (int p = 0; p < kPlanes; ++p) {
    planes[p] = sums + p * kTileRows;
    corrections[p] = a.codes.offset * x.sums[p];
  }
  fold_block<kPlanes>(a, scales, x, planes, corrections, acc);
}

/// fold_block for i16: high and low are [2 planes][kTileRows].
void fold_codebook(const PackedLinear& a, const float* scales, const ActivationBlock& x, const std::int32_t* high,
                   std::int32_t* low, float* acc) {
  for (std::int64_t r = 0; r < kTileRows; ++r) low[kTileRows + r] += high[r];
  const std::int32_t* levels[3] = {low, low + kTileRows, high + kTileRows};
  const std::int32_t corrections[3] = {0, 128 * x.sums[0], 128 * x.sums[1]};
  fold_block<3>(a, scales, x, levels, corrections, acc);
}

/// Working memory of a thread, in this order.
struct PlaneScratch {
  float* acc;           ///< [m][kTileRows]
  std::int32_t* sums;   ///< [tables][m * planes][kTileRows]
  std::uint8_t* panel;  ///< [kPanelBytes]
  static std::int64_t tables(const Planes& planes) { return planes.codebook ? 2 : 1; }
  static std::int64_t floats(const PackedLinear& a, const Planes& planes) {
    return a.m * kTileRows * (1 + tables(planes) * planes.planes) + kPanelBytes / 4;
  }
  PlaneScratch(const PackedLinear& a, const Planes& planes, float* memory)
      : acc(memory),
        sums(reinterpret_cast<std::int32_t*>(memory + a.m * kTileRows)),
        panel(reinterpret_cast<std::uint8_t*>(sums + tables(planes) * a.m * planes.planes * kTileRows)) {}
};

std::int64_t packed_planes_scratch(const PackedLinear& a, const Planes& planes) {
  return PlaneScratch::floats(a, planes);
}

void fold_tokens(const PackedLinear& a, const Planes& planes, const float* scales, std::int64_t block,
                 const PlaneScratch& scratch) {
  const std::int64_t line = planes.planes * kTileRows;
  for (std::int64_t t = 0; t < a.m; ++t) {
    const ActivationBlock& x = planes.rows[block * a.m + t];
    std::int32_t* sums = scratch.sums + t * line;
    float* acc = scratch.acc + t * kTileRows;
    if (planes.codebook) {
      fold_codebook(a, scales, x, sums, sums + a.m * line, acc);
    } else if (planes.planes == 1) {
      fold_integers<1>(a, scales, x, sums, acc);
    } else if (planes.planes == 2) {
      fold_integers<2>(a, scales, x, sums, acc);
    } else {
      fold_integers<3>(a, scales, x, sums, acc);
    }
  }
}

void packed_planes(const PackedLinear& a, const Planes& planes, std::int64_t lo, std::int64_t hi, float* memory) {
  const PlaneScratch scratch(a, planes, memory);
  const std::int64_t lines = a.m * planes.planes;
  const bool direct = a.codes.bits == 8 || (!planes.codebook && lines <= kDirectGroups * kLines);
  const CodebookBytes tables(planes.codebook ? a.codes.codebook : nullptr);
  for (std::int64_t tile = lo; tile < hi; ++tile) {
    for (std::int64_t i = 0; i < a.m * kTileRows; ++i) scratch.acc[i] = 0.0f;
    for (std::int64_t block = 0; block < a.blocks; ++block) {
      const std::uint8_t* at = a.packed + tile * a.tile_bytes + block * a.block_bytes;
      const std::int64_t rest = a.k - block * a.block, step = a.codes.bits == 4 ? 8 : 4;
      const std::int64_t columns = ((rest < a.block ? rest : a.block) + step - 1) / step * step;
      const std::int8_t* digits = planes.digits + block * lines * planes.stride;
      for (std::int64_t first = 0; first < columns; first += kPanelColumns) {
        PlaneColumns from{.codes = at + a.header_bytes + first * kTileRows * a.codes.bits / 8,
                          .panel = direct ? nullptr : scratch.panel,
                          .columns = columns - first < kPanelColumns ? columns - first : kPanelColumns,
                          .bits = a.codes.bits,
                          .flip = a.codes.flip};
        for (std::int64_t table = 0; table < PlaneScratch::tables(planes); ++table) {
          if (!direct) {
            unpack_panel(from.codes, from.columns / 8,
                         planes.codebook ? (table == 0 ? tables.high : tables.low) : nullptr, scratch.panel);
          }
          for (std::int64_t line = 0; line < lines; line += kLines) {
            plane_sums(lines - line < kLines ? lines - line : kLines, from, digits + line * planes.stride + first,
                       planes.stride, first > 0, scratch.sums + (table * lines + line) * kTileRows);
          }
        }
      }
      fold_tokens(a, planes, reinterpret_cast<const float*>(at), block, scratch);
    }
    for (std::int64_t t = 0; t < a.m; ++t) write_tile(a, t, tile, scratch.acc + t * kTileRows);
  }
}
