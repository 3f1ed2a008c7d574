// quantized_linear for many tokens: a panel of kPanelRows rows of W and kLinearBlockK columns is dequantised once into
// the first-level cache and multiplied with all tokens. Sums wait in scratch memory from one block of columns to the
// next; the order of the additions is the contract of quantized_linear.inl.h.

constexpr std::int64_t kRowBlock = 32;  // rows whose sums are kept: activations come from far away once for all of them

/// Panel of `rows` <= kPanelRows rows, columns [k, end): [vector][kPanelRows][lane]. A missing row repeats the last
/// one. What the next panel will need is brought while this one is worked on.
template <class W>
void dequantize_panel(const QuantizedLinear& a, std::int64_t row, std::int64_t rows, std::int64_t k, std::int64_t end,
                      float* panel) {
  for (std::int64_t r = 0; r < kPanelRows; ++r) {
    const std::int64_t at = row + (r < rows ? r : rows - 1);
    const CodeReader<W, 1> reader(a, at);
    float* to = panel + r * kLanes;
    std::int64_t unit = k / W::kUnit, block = k / a.block;
    for (std::int64_t first = k; first < end; ++block) {
      const std::int64_t scale = at * a.blocks_per_row + block;
      const typename W::Table table = W::table(a, scale);
      __builtin_prefetch(a.scales + scale + kPanelRows * a.blocks_per_row);
      const std::int64_t end_of_block = (block + 1) * a.block < end ? (block + 1) * a.block : end;
      for (; first < end_of_block; first += W::kUnit, ++unit) {
        __builtin_prefetch(reader.rows + unit * W::kUnitBytes + kPanelRows * a.bytes_per_row);
        typename W::Codes codes[1];
        unit < reader.whole_units() ? reader.load(unit, codes) : reader.load_rest(codes);
        store_unit<W>(codes[0], table, to);
        to += W::kSteps * kPanelRows * kLanes;
      }
    }
  }
}

/// The same by the format's own dequantize, blocks being cut at k and end.
void dequantize_values(const QuantizedLinear& a, std::int64_t row, std::int64_t k, std::int64_t end, float* values) {
  const auto run = [&](std::int64_t first, std::int64_t last) {
    const std::int64_t block = row * a.blocks_per_row + first / a.block;
    a.dequantize(
        {a.codes + row * a.bytes_per_row + first * a.bits / 8, a.scales + block,
         a.zeros == nullptr ? nullptr : a.zeros + block, a.float_zeros == nullptr ? nullptr : a.float_zeros + block},
        {last - first, a.block}, values + first - k);
  };
  std::int64_t whole = (k + a.block - 1) / a.block * a.block;  // where the first whole block starts
  if (whole > end) whole = end;
  if (k < whole) run(k, whole);
  if (whole < end) run(whole, end);
}
template <>
void dequantize_panel<Values>(const QuantizedLinear& a, std::int64_t row, std::int64_t rows, std::int64_t k,
                              std::int64_t end, float* panel) {
  float values[kLinearBlockK];
  for (std::int64_t i = end - k; i < end - k + kLanes - 1 && i < kLinearBlockK; ++i) values[i] = 0.0f;
  for (std::int64_t r = 0; r < kPanelRows; ++r) {
    dequantize_values(a, row + (r < rows ? r : rows - 1), k, end, values);
    for (std::int64_t i = 0; i < end - k; i += kLanes) store(panel + i * kPanelRows + r * kLanes, load(values + i));
  }
}

/// Adds the products of one panel to the sums [token][kPanelRows][lane] of kTokens tokens.
template <int kTokens>
void add_panel(const float* x, const float* panel, std::int64_t vectors, bool first, float* sums) {
  F32 acc[kTokens][kPanelRows];
#pragma GCC unroll 8
  for (int t = 0; t < kTokens; ++t) {
#pragma GCC unroll 8
    for (int r = 0; r < kPanelRows; ++r) acc[t][r] = first ? splat(0.0f) : load(sums + (t * kPanelRows + r) * kLanes);
  }
  for (std::int64_t v = 0; v < vectors; ++v) {
    F32 xs[kTokens];
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t) {
      xs[t] = load(x + t * kLinearBlockK + v * kLanes);
    }
#pragma GCC unroll 8
    for (int r = 0; r < kPanelRows; ++r) {
      const F32 w = in_register(load(panel + (v * kPanelRows + r) * kLanes));
#pragma GCC unroll 8
      for (int t = 0; t < kTokens; ++t) acc[t][r] = fma(w, xs[t], acc[t][r]);
    }
  }
#pragma GCC unroll 8
  for (int t = 0; t < kTokens; ++t) {
#pragma GCC unroll 8
    for (int r = 0; r < kPanelRows; ++r) store(sums + (t * kPanelRows + r) * kLanes, acc[t][r]);
  }
}

/// One panel with the tokens from `token` on, kTokens at a time and then fewer.
template <int kTokens = kPanelTokens>
void add_tokens(const QuantizedLinear& a, std::int64_t k, const float* panel, std::int64_t vectors, float* sums,
                std::int64_t token = 0) {
  for (; a.m - token >= kTokens; token += kTokens) {
    add_panel<kTokens>(packed_at(a, token, k), panel, vectors, k == 0, sums + token * kPanelRows * kLanes);
  }
  if constexpr (kTokens > 1) add_tokens<kTokens - 1>(a, k, panel, vectors, sums, token);
}

void write_block(const QuantizedLinear& a, std::int64_t row, std::int64_t rows, const float* sums) {
  for (std::int64_t token = 0; token < a.m; ++token) {
    for (std::int64_t r = 0; r < rows; r += 4) {
      const float* at = sums + (r / kPanelRows * a.m + token) * kPanelRows * kLanes + r % kPanelRows * kLanes;
      F32 four[4];
      for (int i = 0; i < 4; ++i) four[i] = load(at + i * kLanes);
      write_outputs(a, token, row + r, static_cast<int>(rows - r < 4 ? rows - r : 4), four);
    }
  }
}

std::int64_t quantized_linear_scratch(const QuantizedLinear& a) {
  const bool direct = a.m <= kMostDirectTokens && a.dequantize == nullptr;
  return direct ? 0 : (a.m * kRowBlock + kLinearBlockK / kLanes * kPanelRows) * kLanes;
}

template <class W>
void panel_range(const QuantizedLinear& a, std::int64_t lo, std::int64_t hi, float* scratch) {
  float* sums = scratch;
  float* panel = scratch + a.m * kRowBlock * kLanes;
  for (; lo < hi; lo += kRowBlock) {
    const std::int64_t rows = hi - lo < kRowBlock ? hi - lo : kRowBlock;
    for (std::int64_t k = 0; k < a.k; k += kLinearBlockK) {
      const std::int64_t end = a.k - k < kLinearBlockK ? a.k : k + kLinearBlockK;
      const std::int64_t vectors = (end - k + W::kUnit - 1) / W::kUnit * W::kSteps;
      for (std::int64_t r = 0; r < rows; r += kPanelRows) {
        dequantize_panel<W>(a, lo + r, rows - r < kPanelRows ? rows - r : kPanelRows, k, end, panel);
        add_tokens(a, k, panel, vectors, sums + r * a.m * kLanes);
      }
    }
    write_block(a, lo, rows, sums);
  }
}

/// body(W{}) for the longest lanes that no end of a block cuts; the block is a multiple of 16.
template <int kCodes = 8, class Body>
void with_weights(const QuantizedLinear& a, const Body& body) {
  if (a.dequantize != nullptr) return body(Values{});
  if (a.codebook == nullptr) return body(Bytes{});
  if constexpr (kCodes * kLanes > formats::kMinBlock) {
    if (a.block % (kCodes * kLanes) != 0) return with_weights<kCodes / 2>(a, body);
  }
  body(Nibbles<kCodes>{});
}

void pack_activations(const QuantizedLinear& a, const float* x, float* packed, std::int64_t lo, std::int64_t hi) {
  with_weights(a, [&](auto weights) { pack<decltype(weights)>(a, x, packed, lo, hi); });
}

void quantized_linear(const QuantizedLinear& a, std::int64_t lo, std::int64_t hi, float* scratch) {
  with_weights(a, [&](auto weights) {
    using W = decltype(weights);
    if constexpr (W::kDirect) {
      if (a.m == 1) return direct_range<W, 1>(a, lo, hi);
      if (a.m <= kMostDirectTokens) return direct_range<W, kDirectTokens>(a, lo, hi);
    }
    panel_range<W>(a, lo, hi, scratch);
  });
}
