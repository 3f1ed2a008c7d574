// y = x W^T + bias on the quantised weights. Two paths, one result: `direct` keeps the codes in registers and serves
// few tokens (rows of x); quantized_linear_panel.inl.h dequantises rows of W into the cache and serves many. int8 and
// 4-bit codes have both; the other formats (`Values`) have the panels alone.
//
// k runs along the lanes. A *unit* is what fills one vector with codes: every lane holds kSteps consecutive codes of
// one block (8 nibbles where the block is long enough), so a row is read as it is stored, and the codes at one position
// of all lanes make one vector of weights. The activations are packed once a call in that order, kSteps vectors a unit.
// The contract: an output has one vector of sums, acc = fma(weight, x, acc) over the units and the steps in ascending
// order; then sum4 adds the lanes in a fixed tree; then comes the bias. So its bits depend on its row of x, its row of
// W, k and the block, and not on the number of tokens, the place of a row or the threads.

constexpr std::int64_t kLanes = F32::kWidth;

/// 4-bit codes, kCodes a lane.
template <int kCodes>
struct Nibbles {
  static constexpr bool kDirect = true;
  static constexpr int kSteps = kCodes;
  static constexpr std::int64_t kUnit = kLanes * kCodes;
  static constexpr std::int64_t kUnitBytes = kUnit / 2;
  using Table = BlockTable;
  using Codes = I32;

  static Table table(const QuantizedLinear& a, std::int64_t block) {
    const std::int64_t zero = a.zeros == nullptr ? 0 : a.zeros[block];
    const float float_zero = a.float_zeros == nullptr ? -0.0f : a.float_zeros[block];  // adding -0 changes nothing
    return block_table(load_table16(a.codebook - zero), a.scales[block], float_zero);
  }
  static Codes load(const std::uint8_t* p) { return load_lanes<kCodes>(p); }
  template <int kStep>
  static F32 weight_at(Codes codes, Table table) {  // the first of two codes is the high nibble
    return weight<kCodes == 1 ? 0 : 4 * (kStep ^ 1)>(codes, table);
  }
};

/// int8, one code a lane.
struct Bytes {
  static constexpr bool kDirect = true;
  static constexpr int kSteps = 1;
  static constexpr std::int64_t kUnit = kLanes;
  static constexpr std::int64_t kUnitBytes = kLanes;
  using Table = F32;
  using Codes = F32;

  static Table table(const QuantizedLinear& a, std::int64_t block) { return splat(a.scales[block]); }
  static Codes load(const std::uint8_t* p) { return to_float(load_s8(reinterpret_cast<const std::int8_t*>(p))); }
  template <int>
  static F32 weight_at(Codes codes, Table table) {
    return codes * table;
  }
};

/// Codes of any other format, which are dequantised a row at a time: k runs on from vector to vector.
struct Values {
  static constexpr bool kDirect = false;
  static constexpr int kSteps = 1;
  static constexpr std::int64_t kUnit = kLanes;
};

/// The codes of kRows rows, unit by unit.
template <class W, int kRows>
struct CodeReader {
  const std::uint8_t* rows;
  std::int64_t bytes_per_row;

  CodeReader(const QuantizedLinear& a, std::int64_t row)
      : rows(a.codes + row * a.bytes_per_row), bytes_per_row(a.bytes_per_row) {}
  std::int64_t whole_units() const { return bytes_per_row / W::kUnitBytes; }

  void load(std::int64_t unit, typename W::Codes (&codes)[kRows]) const {
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) codes[r] = W::load(rows + unit * W::kUnitBytes + r * bytes_per_row);
  }
  /// The last unit of a ragged row: past its end are codes 0, which meet activations 0.
  void load_rest(typename W::Codes (&codes)[kRows]) const {
    const std::int64_t first = whole_units() * W::kUnitBytes;
    for (int r = 0; r < kRows; ++r) {
      std::uint8_t rest[W::kUnitBytes] = {};
      __builtin_memcpy(rest, rows + r * bytes_per_row + first, static_cast<std::size_t>(bytes_per_row - first));
      codes[r] = W::load(rest);
    }
  }
  /// Brings the next kRows rows from memory, a share of them for every unit, in the order in which they lie there.
  void prefetch(std::int64_t unit) const {
    const std::uint8_t* share = rows + kRows * (bytes_per_row + unit * W::kUnitBytes);
#pragma GCC unroll 8
    for (int line = 0; line < kRows * W::kUnitBytes; line += 64) __builtin_prefetch(share + line);
  }
};

/// Where token t keeps the activations of the unit that starts at column k.
inline const float* packed_at(const QuantizedLinear& a, std::int64_t token, std::int64_t k) {
  return a.x + (k / kLinearBlockK * a.m + token) * kLinearBlockK + k % kLinearBlockK;
}

template <class W>
void pack(const QuantizedLinear& a, const float* x, float* packed, std::int64_t lo, std::int64_t hi) {
  for (std::int64_t token = lo; token < hi; ++token) {
    for (std::int64_t k = 0; k < a.k; k += W::kUnit) {
      float* to = packed + (packed_at(a, token, k) - a.x);
      const float* from = x + token * a.k + k;
      float rest[W::kUnit] = {};
      if (a.k - k < W::kUnit) {
        for (std::int64_t i = 0; i < a.k - k; ++i) rest[i] = from[i];
        from = rest;
      }
      for (int step = 0; step < W::kSteps; ++step) {
        for (int lane = 0; lane < kLanes; ++lane) to[step * kLanes + lane] = from[lane * W::kSteps + step];
      }
    }
  }
}

/// Brings the scales and zero points of the next group of rows, a share of them for every block of this one.
template <int kRows>
inline void prefetch_scales(const QuantizedLinear& a, std::int64_t row, std::int64_t block) {
  const std::int64_t at = (row + kRows) * a.blocks_per_row + block * kRows;
  __builtin_prefetch(a.scales + at);
  if (a.zeros != nullptr) __builtin_prefetch(a.zeros + at);
  if (a.float_zeros != nullptr) __builtin_prefetch(a.float_zeros + at);
}

template <class W, int kStep = 0, int kTokens, int kRows>
[[gnu::always_inline]] inline void add_unit(const typename W::Codes (&codes)[kRows],
                                            const typename W::Table (&tables)[kRows], const float* x,
                                            F32 (&acc)[kTokens][kRows]) {
  if constexpr (kStep < W::kSteps) {
    F32 xs[kTokens];
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t) xs[t] = load(x + t * kLinearBlockK + kStep * kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const F32 w = W::template weight_at<kStep>(codes[r], tables[r]);
#pragma GCC unroll 8
      for (int t = 0; t < kTokens; ++t) acc[t][r] = fma(w, xs[t], acc[t][r]);
    }
    add_unit<W, kStep + 1>(codes, tables, x, acc);
  }
}

template <class W, int kStep = 0>
[[gnu::always_inline]] inline void store_unit(typename W::Codes codes, typename W::Table table, float* panel) {
  if constexpr (kStep < W::kSteps) {
    store(panel + kStep * kPanelRows * kLanes, W::template weight_at<kStep>(codes, table));
    store_unit<W, kStep + 1>(codes, table, panel);
  }
}

/// Writes up to four outputs of one token: y[row..] = sums of acc + bias.
[[gnu::always_inline]] inline void write_outputs(const QuantizedLinear& a, std::int64_t token, std::int64_t row,
                                                 int rows, const F32 (&acc)[4]) {
  float sums[4];
  sum4(acc[0], acc[1], acc[2], acc[3], sums);
  float* y = a.y + token * a.n + row;
  for (int r = 0; r < rows; ++r) y[r] = a.bias == nullptr ? sums[r] : sums[r] + a.bias[row + r];
}

template <class W, int kRows>
[[gnu::always_inline]] inline void load_tables(const QuantizedLinear& a, std::int64_t row, std::int64_t block,
                                               typename W::Table (&tables)[kRows]) {
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) tables[r] = W::table(a, (row + r) * a.blocks_per_row + block);
}

/// kTokens x kRows outputs over the whole of k.
template <class W, int kTokens, int kRows>
void direct(const QuantizedLinear& a, std::int64_t row, std::int64_t token) {
  const CodeReader<W, kRows> reader(a, row);
  const std::int64_t units = reader.whole_units(), units_per_block = a.block / W::kUnit;
  typename W::Codes codes[kRows];
  typename W::Table tables[kRows];
  F32 acc[kTokens][kRows];
#pragma GCC unroll 8
  for (int t = 0; t < kTokens; ++t) {
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) acc[t][r] = splat(0.0f);
  }
  for (std::int64_t unit = 0, block = 0; unit < units; ++block) {
    load_tables<W>(a, row, block, tables);
    prefetch_scales<kRows>(a, row, block);
    const std::int64_t end = units - unit < units_per_block ? units : unit + units_per_block;
    for (; unit < end; ++unit) {
      reader.prefetch(unit);
      reader.load(unit, codes);
      add_unit<W>(codes, tables, packed_at(a, token, unit * W::kUnit), acc);
    }
  }
  if (units * W::kUnit < a.k) {
    load_tables<W>(a, row, units / units_per_block, tables);
    reader.load_rest(codes);
    add_unit<W>(codes, tables, packed_at(a, token, units * W::kUnit), acc);
  }
#pragma GCC unroll 8
  for (int t = 0; t < kTokens; ++t) {
#pragma GCC unroll 8
    for (int r = 0; r < kRows; r += 4) {
      F32 four[4];
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) four[i] = r + i < kRows ? acc[t][r + i] : splat(0.0f);
      write_outputs(a, token + t, row + r, kRows - r < 4 ? kRows - r : 4, four);
    }
  }
}

/// direct for size <= kTokens tokens.
template <class W, int kTokens, int kRows>
void direct_group(const QuantizedLinear& a, std::int64_t row, std::int64_t token, std::int64_t size) {
  if (size == kTokens) return direct<W, kTokens, kRows>(a, row, token);
  if constexpr (kTokens > 1) direct_group<W, kTokens - 1, kRows>(a, row, token, size);
}

/// kRows columns of y, in groups of at most kTokens tokens that differ by one at most: a small last group would decode
/// the codes for few products.
template <class W, int kTokens, int kRows>
void direct_tokens(const QuantizedLinear& a, std::int64_t row) {
  std::int64_t token = 0;
  for (std::int64_t groups = (a.m + kTokens - 1) / kTokens; groups > 0; --groups) {
    const std::int64_t size = (a.m - token + groups - 1) / groups;
    direct_group<W, kTokens, kRows>(a, row, token, size);
    token += size;
  }
}

template <class W, int kTokens>
void direct_range(const QuantizedLinear& a, std::int64_t lo, std::int64_t hi) {
  constexpr int kRows = direct_rows(kTokens);
  for (; hi - lo >= kRows; lo += kRows) direct_tokens<W, kTokens, kRows>(a, lo);
  for (; lo < hi; ++lo) direct_tokens<W, kTokens, 1>(a, lo);
}
