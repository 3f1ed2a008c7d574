// The integer modes over the packed layout. For every block of columns and every digit plane p of the activations,
// S_p = sum of (code - offset - zero) * digit, exactly; f = float(S_top), then f = fma(f, 256, float(S_p)) down to
// plane 0; acc = fma(f, scale * step, acc), and with float zero points acc = fma(X, zero * step, acc), X the same fold
// of the sums of the digits. Blocks ascend. A codebook of i16 is two byte tables, its values being high * 256 + low:
// S_2 = high d_1, S_1 = high d_0 + low d_1, S_0 = low d_0.
//
// Packed codes are taken apart in registers, anew for every kMostLines lines: that costs less than reading them from a
// panel of bytes. Only the bytes of a codebook, two lookups a code, are written to such a panel in the first cache.

constexpr std::int64_t kPanelColumns = 128;  // of each of the two tables of a codebook
constexpr std::int64_t kPanelBytes = kPanelColumns * kTileRows;

/// The bytes of rint(value * kCodebookUnit) for 16 codebook values: high + 128, and low.
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

constexpr int kCodebookPlanes = 2;
constexpr std::int64_t kCodebookTokens = kMostLines / kCodebookPlanes;  // whose lines are multiplied at a time

/// Whether a block fits the panels: the sums of a group of tokens are folded at once.
bool folds_whole_blocks(const PackedLinear& a) { return (a.block < a.k ? a.block : a.k) <= kPanelColumns; }

/// int32 sums of one table of the codebook.
std::int64_t table_sums(const PackedLinear& a) {
  return (folds_whole_blocks(a) ? kMostLines : a.m * kCodebookPlanes) * kTileRows;
}

/// How a call with panels works, and its memory.
struct PanelWork {
  bool whole_blocks;           ///< folds_whole_blocks
  std::int64_t lines;          ///< m * kCodebookPlanes
  std::int64_t sums_of_table;  ///< table_sums
  float* acc;                  ///< [m][kTileRows]
  std::int32_t* sums;          ///< [2 tables][lines or kMostLines][kTileRows]
  std::uint8_t* panels;        ///< [2 tables][kPanelBytes]

  PanelWork(const PackedLinear& a, float* memory)
      : whole_blocks(folds_whole_blocks(a)),
        lines(a.m * kCodebookPlanes),
        sums_of_table(table_sums(a)),
        acc(memory),
        sums(reinterpret_cast<std::int32_t*>(acc + a.m * kTileRows)),
        panels(reinterpret_cast<std::uint8_t*>(sums + 2 * sums_of_table)) {}
};

std::int64_t packed_planes_scratch(const PackedLinear& a, const Planes& planes) {
  const std::int64_t of_panels = planes.codebook ? 2 * table_sums(a) + 2 * kPanelBytes / 4 : 0;
  return a.m * kTileRows + of_panels;
}

template <int kLines = kMostLines>
void panel_sums(std::int64_t count, const std::uint8_t* panel, std::int64_t quads, const DigitLines& lines,
                std::int32_t* sums) {
  if (count == kLines) return byte_sums<kLines>(panel, quads, ByteKind::kPanel, lines, sums);
  if constexpr (kLines > 1) panel_sums<kLines - 1>(count, panel, quads, lines, sums);
}

/// acc [kTileRows] of one token += one block, from the sums of its planes, lowest first.
template <int kLevels, PackedZeros kZeros>
void fold(const float* scales, const ActivationBlock& x, const std::int32_t* const (&sums)[kLevels], float* acc) {
  float ones = 0.0f;  // X, what codes of 1 would give
  for (int p = kLevels - 1; p >= 0; --p) ones = ones * 256.0f + static_cast<float>(x.sums[p]);
  const F32 step = splat(x.step);
  for (std::int64_t r = 0; r < kTileRows; r += F32::kWidth) {
    F32 f = splat(0.0f);
    for (int p = kLevels - 1; p >= 0; --p) {
      I32 sum = load_int(sums[p] + r);
      if constexpr (kZeros == PackedZeros::kInteger) sum = sum - integer_zeros(scales, r) * splat(x.sums[p]);
      f = p == kLevels - 1 ? to_float(sum) : fma(f, splat(256.0f), to_float(sum));  // * 256 is exact: rounds once
    }
    F32 y = fused(f, load(scales + r) * step, load(acc + r));
    if constexpr (kZeros == PackedZeros::kFloat) y = fused(splat(ones), load(scales + kTileRows + r) * step, y);
    store(acc + r, y);
  }
}
template <int kPlanes>
void fold_integers(const PackedLinear& a, const float* scales, const ActivationBlock& x, const std::int32_t* sums,
                   float* acc) {
  const std::int32_t* planes[kPlanes];
  for (int p = 0; p < kPlanes; ++p) planes[p] = sums + p * kTileRows;
  if (a.codes.zeros == PackedZeros::kNone) return fold<kPlanes, PackedZeros::kNone>(scales, x, planes, acc);
  if (a.codes.zeros == PackedZeros::kInteger) return fold<kPlanes, PackedZeros::kInteger>(scales, x, planes, acc);
  fold<kPlanes, PackedZeros::kFloat>(scales, x, planes, acc);
}
/// high and low: the sums [2 planes][kTileRows] of the two tables.
void fold_codebook(const float* scales, const ActivationBlock& x, const std::int32_t* high, std::int32_t* low,
                   float* acc) {
  for (std::int64_t r = 0; r < kTileRows; ++r) low[kTileRows + r] += high[r];
  const std::int32_t* levels[3] = {low, low + kTileRows, high + kTileRows};
  fold<3, PackedZeros::kNone>(scales, x, levels, acc);
}

/// Columns of a block that lie in the panels.
struct PanelChunk {
  std::int64_t first, columns;
  bool last;  ///< of the block
};

/// `count` tokens from `token` on: their sums over the chunk; after the last chunk of a block, their outputs.
void panel_group(const PackedLinear& a, const Planes& planes, const PanelWork& work, const float* scales,
                 std::int64_t block, const PanelChunk& chunk, std::int64_t token, std::int64_t count) {
  static constexpr std::int32_t kZeros[kMostLines] = {};
  const std::int64_t line = token * kCodebookPlanes;
  const std::int32_t* starts[2] = {planes.starts + block * work.lines + line, kZeros};
  std::int32_t* sums = work.sums + (work.whole_blocks ? 0 : line * kTileRows);
  for (int table = 0; table < 2; ++table) {
    const DigitLines lines{planes.digits + (block * work.lines + line) * planes.stride + chunk.first, planes.stride,
                           chunk.first == 0 ? starts[table] : nullptr};
    panel_sums(count * kCodebookPlanes, work.panels + table * kPanelBytes, chunk.columns / 4, lines,
               sums + table * work.sums_of_table);
  }
  if (!chunk.last) return;
  for (std::int64_t t = token; t < token + count; ++t, sums += kCodebookPlanes * kTileRows) {
    fold_codebook(scales, planes.rows[block * a.m + t], sums, sums + work.sums_of_table, work.acc + t * kTileRows);
  }
}

/// body(token, count) for groups of at most `most` tokens that differ by one at most: a small last one would keep the
/// multipliers waiting.
template <class Body>
[[gnu::always_inline]] inline void for_groups(std::int64_t tokens, std::int64_t most, const Body& body) {
  std::int64_t token = 0;
  for (std::int64_t groups = (tokens + most - 1) / most; groups > 0; --groups) {
    const std::int64_t count = (tokens - token + groups - 1) / groups;
    body(token, count);
    token += count;
  }
}

/// Columns of a block, padded to whole dwords.
inline std::int64_t packed_columns(const PackedLinear& a, std::int64_t block) {
  const std::int64_t rest = a.k - block * a.block, step = a.codes.bits == 4 ? 8 : 4;
  return ((rest < a.block ? rest : a.block) + step - 1) / step * step;
}

void panel_block(const PackedLinear& a, const Planes& planes, const PanelWork& work, const CodebookBytes& tables,
                 const std::uint8_t* at, std::int64_t block) {
  const std::int64_t columns = packed_columns(a, block);
  for (std::int64_t first = 0; first < columns; first += kPanelColumns) {
    const bool last = columns - first <= kPanelColumns;
    const PanelChunk chunk{first, last ? columns - first : kPanelColumns, last};
    const std::uint8_t* codes = at + a.header_bytes + first * kTileRows / 2;
    unpack_panel(codes, chunk.columns / 8, tables.high, work.panels);
    unpack_panel(codes, chunk.columns / 8, tables.low, work.panels + kPanelBytes);
    for_groups(a.m, kCodebookTokens, [&](std::int64_t token, std::int64_t count) {
      panel_group(a, planes, work, reinterpret_cast<const float*>(at), block, chunk, token, count);
    });
  }
}

/// 8-bit codes as they lie.
inline ByteKind packed_kind(const PackedLinear& a) {
  return a.codes.flip == 0 ? ByteKind::kUnsigned : ByteKind::kFlipped;
}

/// kTokens tokens from `token` on and one block of an integer format.
template <int kPlanes, int kTokens>
void direct_block(const PackedLinear& a, const Planes& planes, const std::uint8_t* at, std::int64_t block,
                  std::int64_t token, float* acc) {
  constexpr int kLines = kPlanes * kTokens;
  const std::int64_t row = block * a.m + token, columns = packed_columns(a, block);
  const DigitLines lines{planes.digits + row * kPlanes * planes.stride, planes.stride, planes.starts + row * kPlanes};
  alignas(64) std::int32_t sums[kLines * kTileRows];
  if (a.codes.bits == 8) {
    byte_sums<kLines>(at + a.header_bytes, columns / 4, packed_kind(a), lines, sums);
  } else {
    nibble_sums<kLines>(at + a.header_bytes, columns / 8, lines, sums);
  }
  for (int t = 0; t < kTokens; ++t) {
    fold_integers<kPlanes>(a, reinterpret_cast<const float*>(at), planes.rows[row + t], sums + t * kPlanes * kTileRows,
                           acc + (token + t) * kTileRows);
  }
}
template <int kPlanes, int kTokens = kMostLines / kPlanes>
[[gnu::always_inline]] inline void direct_block(std::int64_t count, const PackedLinear& a, const Planes& planes,
                                                const std::uint8_t* at, std::int64_t block, std::int64_t token,
                                                float* acc) {
  if (count == kTokens) return direct_block<kPlanes, kTokens>(a, planes, at, block, token, acc);
  if constexpr (kTokens > 1) direct_block<kPlanes, kTokens - 1>(count, a, planes, at, block, token, acc);
}
template <int kPlanes>
void direct_tile(const PackedLinear& a, const Planes& planes, const std::uint8_t* at, float* acc) {
  for (std::int64_t block = 0; block < a.blocks; ++block, at += a.block_bytes) {
    prefetch_rows(at, a.header_bytes);
    for_groups(a.m, kMostLines / kPlanes, [&](std::int64_t token, std::int64_t count) {
      direct_block<kPlanes>(count, a, planes, at, block, token, acc);
    });
  }
}
/// One token of i16.
void direct_codebook_tile(const PackedLinear& a, const Planes& planes, const CodebookBytes& tables,
                          const std::uint8_t* at, float* acc) {
  if constexpr (kDirectCodebook) {
    constexpr int kLines = kCodebookPlanes;
    for (std::int64_t block = 0; block < a.blocks; ++block, at += a.block_bytes) {
      prefetch_rows(at, a.header_bytes);
      alignas(64) std::int32_t high[kLines * kTileRows], low[kLines * kTileRows];
      const DigitLines lines{planes.digits + block * kLines * planes.stride, planes.stride,
                             planes.starts + block * kLines};
      codebook_sums<kLines>(at + a.header_bytes, packed_columns(a, block) / 8, tables.high, tables.low, lines, high,
                            low);
      fold_codebook(reinterpret_cast<const float*>(at), planes.rows[block], high, low, acc);
    }
  }
}
void codebook_tile(const PackedLinear& a, const Planes& planes, const CodebookBytes& tables, const std::uint8_t* at,
                   float* memory) {
  if (kDirectCodebook && a.m == 1) return direct_codebook_tile(a, planes, tables, at, memory);
  const PanelWork work(a, memory);
  for (std::int64_t block = 0; block < a.blocks; ++block, at += a.block_bytes) {
    panel_block(a, planes, work, tables, at, block);
  }
}

void packed_tile(const PackedLinear& a, const Planes& planes, const CodebookBytes& tables, const std::uint8_t* at,
                 float* memory) {
  if (planes.codebook) return codebook_tile(a, planes, tables, at, memory);
  if (planes.planes == 1) return direct_tile<1>(a, planes, at, memory);
  if (planes.planes == 2) return direct_tile<2>(a, planes, at, memory);
  direct_tile<3>(a, planes, at, memory);
}

void packed_planes(const PackedLinear& a, const Planes& planes, std::int64_t lo, std::int64_t hi, float* memory) {
  const CodebookBytes tables(planes.codebook ? a.codes.codebook : nullptr);
  for (std::int64_t tile = lo; tile < hi; ++tile) {
    for (std::int64_t i = 0; i < a.m * kTileRows; ++i) memory[i] = 0.0f;
    packed_tile(a, planes, tables, a.packed + tile * a.tile_bytes, memory);
    write_tile(a, tile, memory);
  }
}
