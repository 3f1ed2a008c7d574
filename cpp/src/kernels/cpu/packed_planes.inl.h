// The integer modes over the packed layout. For every block of columns and every digit plane p of the activations,
// S_p = sum of (code - offset - zero) * digit, exactly; f = float(S_top), then f = fma(f, 256, float(S_p)) down to
// plane 0; acc = fma(f, scale * step, acc), and with float zero points acc = fma(X, zero * step, acc), X the same fold
// of the sums of the digits. Blocks ascend. A codebook of i16 is two byte tables, its values being high * 256 + low:
// S_2 = high d_1, S_1 = high d_0 + low d_1, S_0 = low d_0.
//
// Few tokens take the packed codes apart in registers; many read a panel of bytes that is unpacked once into the first
// cache. Sums are integers, so the way does not show in the result.

constexpr std::int64_t kPanelColumns = 256;  // of an integer format; a codebook makes two panels of half as many
constexpr std::int64_t kPanelBytes = kPanelColumns * kTileRows;
constexpr std::int64_t kDirectLines = 2 * kMostLines;  // up to so many, taking codes apart anew beats a panel
constexpr std::int64_t kDirectCodebookLines = kDirectCodebook ? 2 : 0;

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

bool is_direct(const PackedLinear& a, const Planes& planes) {
  return a.m * planes.planes <= (planes.codebook ? kDirectCodebookLines : kDirectLines);
}

/// How a call with a panel works, and its memory.
struct PlaneWork {
  std::int64_t tables;         ///< 2 for a codebook
  std::int64_t chunk;          ///< columns worked on at a time
  std::int64_t lines;          ///< tokens * planes
  std::int64_t group;          ///< tokens whose lines are multiplied at a time
  bool whole_blocks;           ///< a block is one chunk: the sums of a group are folded at once
  std::int64_t sums_of_table;  ///< int32s
  float* acc;                  ///< [m][kTileRows]
  std::int32_t* sums;          ///< [tables][lines or kMostLines][kTileRows]
  std::uint8_t* panels;        ///< [tables][chunk * kTileRows]

  PlaneWork(const PackedLinear& a, const Planes& planes, float* memory)
      : tables(planes.codebook ? 2 : 1),
        chunk(kPanelColumns / tables),
        lines(a.m * planes.planes),
        group(kMostLines / planes.planes),
        whole_blocks((a.block < a.k ? a.block : a.k) <= chunk),
        sums_of_table((whole_blocks ? kMostLines : lines) * kTileRows),
        acc(memory),
        sums(reinterpret_cast<std::int32_t*>(acc + a.m * kTileRows)),
        panels(reinterpret_cast<std::uint8_t*>(sums + tables * sums_of_table)) {}
};

std::int64_t packed_planes_scratch(const PackedLinear& a, const Planes& planes) {
  const PlaneWork work(a, planes, nullptr);
  return a.m * kTileRows + work.tables * work.sums_of_table + kPanelBytes / 4;
}

/// One chunk of columns of a tile.
struct CodeChunk {
  const std::uint8_t* codes;  ///< as packed
  std::int64_t columns;       ///< padded to whole dwords
  std::int64_t first;         ///< its place in the block
};

/// 8-bit codes are a panel as they are packed.
inline ByteKind packed_kind(const PackedLinear& a) {
  return a.codes.flip == 0 ? ByteKind::kUnsigned : ByteKind::kFlipped;
}

template <int kLines>
void line_sums(const PackedLinear& a, const CodeChunk& chunk, const std::uint8_t* panel, const DigitLines& lines,
               std::int32_t* sums) {
  const ByteKind kind = a.codes.bits == 8             ? packed_kind(a)
                        : a.codes.codebook == nullptr ? ByteKind::kCodes
                                                      : ByteKind::kUnsigned;
  byte_sums<kLines>(a.codes.bits == 8 ? chunk.codes : panel, chunk.columns / 4, kind, lines, sums);
}
template <int kLines = kMostLines>
void line_sums(std::int64_t count, const PackedLinear& a, const CodeChunk& chunk, const std::uint8_t* panel,
               const DigitLines& lines, std::int32_t* sums) {
  if (count == kLines) return line_sums<kLines>(a, chunk, panel, lines, sums);
  if constexpr (kLines > 1) line_sums<kLines - 1>(count, a, chunk, panel, lines, sums);
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
      if constexpr (kZeros == PackedZeros::kInteger) {
        sum = sum - round_to_int(load(scales + kTileRows + r)) * splat(x.sums[p]);
      }
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

/// `count` tokens from `token` on: their sums over the chunk; after the last chunk of a block, their outputs.
void work_on_group(const PackedLinear& a, const Planes& planes, const PlaneWork& work, const float* scales,
                   std::int64_t block, const CodeChunk& chunk, bool last, std::int64_t token, std::int64_t count) {
  const ActivationBlock* x = planes.rows + block * a.m + token;
  const std::int64_t line = token * planes.planes;
  std::int32_t* sums = work.sums + (work.whole_blocks ? 0 : line * kTileRows);
  for (std::int64_t table = 0; table < work.tables; ++table) {
    static constexpr std::int32_t kZeros[kMostLines] = {};
    const std::int32_t* start = table == 0 ? planes.starts + block * work.lines + line : kZeros;
    const DigitLines lines{planes.digits + (block * work.lines + line) * planes.stride + chunk.first, planes.stride,
                           chunk.first == 0 ? start : nullptr};
    line_sums(count * planes.planes, a, chunk, work.panels + table * work.chunk * kTileRows, lines,
              sums + table * work.sums_of_table);
  }
  if (!last) return;
  for (std::int64_t t = 0; t < count; ++t, sums += planes.planes * kTileRows) {
    float* acc = work.acc + (token + t) * kTileRows;
    if (planes.codebook) {
      fold_codebook(scales, x[t], sums, sums + work.sums_of_table, acc);
    } else if (planes.planes == 1) {
      fold_integers<1>(a, scales, x[t], sums, acc);
    } else if (planes.planes == 2) {
      fold_integers<2>(a, scales, x[t], sums, acc);
    } else {
      fold_integers<3>(a, scales, x[t], sums, acc);
    }
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

void panel_block(const PackedLinear& a, const Planes& planes, const PlaneWork& work, const CodebookBytes& tables,
                 const std::uint8_t* at, std::int64_t block) {
  const std::int64_t columns = packed_columns(a, block);
  for (std::int64_t first = 0; first < columns; first += work.chunk) {
    const CodeChunk chunk{at + a.header_bytes + first * kTileRows * a.codes.bits / 8,
                          columns - first < work.chunk ? columns - first : work.chunk, first};
    if (a.codes.bits == 4) {
      unpack_panel(chunk.codes, chunk.columns / 8, planes.codebook ? tables.high : nullptr, work.panels);
    }
    if (planes.codebook) {
      unpack_panel(chunk.codes, chunk.columns / 8, tables.low, work.panels + work.chunk * kTileRows);
    }
    for_groups(a.m, work.group, [&](std::int64_t token, std::int64_t count) {
      work_on_group(a, planes, work, reinterpret_cast<const float*>(at), block, chunk, first + work.chunk >= columns,
                    token, count);
    });
  }
}

/// kTokens tokens from `token` on and one block, the packed codes taken apart in registers.
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
template <int kLines>
void direct_codebook_tile(const PackedLinear& a, const Planes& planes, const CodebookBytes& tables,
                          const std::uint8_t* at, float* acc) {
  if constexpr (kDirectCodebook) {
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

void packed_tile(const PackedLinear& a, const Planes& planes, const CodebookBytes& tables, const std::uint8_t* at,
                 float* memory) {
  if (is_direct(a, planes)) {
    if (planes.codebook) return direct_codebook_tile<2>(a, planes, tables, at, memory);
    if (planes.planes == 1) return direct_tile<1>(a, planes, at, memory);
    if (planes.planes == 2) return direct_tile<2>(a, planes, at, memory);
    return direct_tile<3>(a, planes, at, memory);
  }
  const PlaneWork work(a, planes, memory);
  for (std::int64_t block = 0; block < a.blocks; ++block, at += a.block_bytes) {
    panel_block(a, planes, work, tables, at, block);
  }
}

void packed_planes(const PackedLinear& a, const Planes& planes, std::int64_t lo, std::int64_t hi, float* memory) {
  const CodebookBytes tables(planes.codebook ? a.codes.codebook : nullptr);
  for (std::int64_t tile = lo; tile < hi; ++tile) {
    for (std::int64_t i = 0; i < a.m * kTileRows; ++i) memory[i] = 0.0f;
    packed_tile(a, planes, tables, a.packed + tile * a.tile_bytes, memory);
    write_tile(a, tile, memory);
  }
}
