// quantized_linear for many tokens: a panel of kPanelRows rows of W and kLinearBlockK columns is dequantised once into
// the first-level cache and multiplied with all tokens. Sums wait in scratch memory from one block of columns to the
// next; the order of the additions is the contract of quantized_linear.inl.h.

constexpr std::int64_t kRowBlock = 32;  // rows whose sums are kept: activations come from far away once for all of them

/// Panel of `rows` <= kPanelRows rows: [vector][kPanelRows][lane]. A missing row repeats the last one.
template <class W>
void dequantize_panel(const QuantizedLinear& a, std::int64_t row, std::int64_t rows, std::int64_t k, std::int64_t end,
                      float* panel) {
  for (std::int64_t r = 0; r < kPanelRows; ++r) {
    const std::int64_t at = row + (r < rows ? r : rows - 1);
    const std::uint8_t* codes = a.codes + at * a.bytes_per_row;
    float* to = panel + r * kLanes;
    for (std::int64_t first = k; first < end; first += W::kUnit) {
      const typename W::Table table = W::table(a, at * a.blocks_per_row + first / a.block);
      store_unit<W>(load_unit<W>(a, codes, first / W::kUnit), table, to);
      to += W::kSteps * kPanelRows * kLanes;
    }
  }
}

/// Adds the products of one panel to the sums [token][kRowBlock][lane] of kTokens tokens.
template <int kTokens>
void add_panel(const float* x, const float* panel, std::int64_t vectors, bool first, float* sums) {
  F32 acc[kTokens][kPanelRows];
#pragma GCC unroll 8
  for (int t = 0; t < kTokens; ++t) {
#pragma GCC unroll 8
    for (int r = 0; r < kPanelRows; ++r) acc[t][r] = first ? splat(0.0f) : load(sums + (t * kRowBlock + r) * kLanes);
  }
  for (std::int64_t v = 0; v < vectors; ++v, x += kLanes, panel += kPanelRows * kLanes) {
    F32 xs[kTokens];
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t) xs[t] = load(x + t * kLinearBlockK);
#pragma GCC unroll 8
    for (int r = 0; r < kPanelRows; ++r) {
      const F32 w = load(panel + r * kLanes);
#pragma GCC unroll 8
      for (int t = 0; t < kTokens; ++t) acc[t][r] = fma(w, xs[t], acc[t][r]);
    }
  }
#pragma GCC unroll 8
  for (int t = 0; t < kTokens; ++t) {
#pragma GCC unroll 8
    for (int r = 0; r < kPanelRows; ++r) store(sums + (t * kRowBlock + r) * kLanes, acc[t][r]);
  }
}

/// All tokens on one panel.
void add_tokens(const QuantizedLinear& a, std::int64_t k, const float* panel, std::int64_t vectors, float* sums) {
  std::int64_t token = 0;
  for (; a.m - token >= kPanelTokens; token += kPanelTokens) {
    add_panel<kPanelTokens>(packed_at(a, token, k), panel, vectors, k == 0, sums + token * kRowBlock * kLanes);
  }
  for (; token < a.m; ++token) {
    add_panel<1>(packed_at(a, token, k), panel, vectors, k == 0, sums + token * kRowBlock * kLanes);
  }
}

void write_block(const QuantizedLinear& a, std::int64_t row, std::int64_t rows, const float* sums) {
  for (std::int64_t token = 0; token < a.m; ++token) {
    for (std::int64_t r = 0; r < rows; r += 4) {
      const float* at = sums + (token * kRowBlock + r) * kLanes;
      F32 four[4];
      for (int i = 0; i < 4; ++i) four[i] = load(at + i * kLanes);
      write_outputs(a, token, row + r, static_cast<int>(rows - r < 4 ? rows - r : 4), four);
    }
  }
}

std::int64_t quantized_linear_scratch(std::int64_t m) {
  return m <= kMostDirectTokens ? 0 : (m * kRowBlock + kLinearBlockK / kLanes * kPanelRows) * kLanes;
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
        add_tokens(a, k, panel, vectors, sums + r * kLanes);
      }
    }
    write_block(a, lo, rows, sums);
  }
}

/// body(W{}) for the longest lanes that no end of a block cuts; the block is a multiple of 16.
template <int kCodes = 8, class Body>
void with_weights(const QuantizedLinear& a, const Body& body) {
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
    if (a.m > kMostDirectTokens) return panel_range<W>(a, lo, hi, scratch);
    if (a.m == 1) return direct_range<W, 1>(a, lo, hi);
    if constexpr (kMostDirectTokens >= 2) {
      if (a.m == 2) return direct_range<W, 2>(a, lo, hi);
    }
    if constexpr (kMostDirectTokens >= 4) {
      if (a.m == 3) return direct_range<W, 3>(a, lo, hi);
      return direct_range<W, 4>(a, lo, hi);
    }
  });
}
