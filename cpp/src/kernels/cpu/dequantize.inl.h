// Blockwise dequantisation. A dequantizer is made from the scale and zero point of one block, stored or still in its
// quantizer; every operation of a value is rounded by itself.

/// The symmetric rules; the others follow.
template <Rule kRule, int kBits>
struct Dequantizer {
  F32 scale;
  Dequantizer(ConstRunParts in, std::int64_t block) : scale(splat(in.scales[block])) {}
  explicit Dequantizer(const Quantizer<kRule, kBits>& block) : scale(splat(block.scale)) {}
  F32 value(I32 code) const {
    if constexpr (kBits == 8) {  // the byte is two's complement: 128..255 stand for -128..-1
      return to_float(code - shift_left<1>(code & splat(128))) * scale;
    } else {
      return to_float(code - splat(formats::offset({kRule, kBits}))) * scale;
    }
  }
};

template <int kBits>
struct Dequantizer<Rule::kAsymInt, kBits> {
  F32 scale;
  I32 zero;
  Dequantizer(ConstRunParts in, std::int64_t block)
      : scale(splat(in.scales[block])), zero(splat(std::int32_t{in.zeros[block]})) {}
  explicit Dequantizer(const Quantizer<Rule::kAsymInt, kBits>& block) : scale(splat(block.scale)), zero(block.zero) {}
  F32 value(I32 code) const { return to_float(code - zero) * scale; }
};

template <Rule kRule, int kBits>
  requires(formats::has_float_zeros(kRule))
struct Dequantizer<kRule, kBits> {
  F32 scale, zero;
  Dequantizer(ConstRunParts in, std::int64_t block)
      : scale(splat(in.scales[block])), zero(splat(in.float_zeros[block])) {}
  explicit Dequantizer(const Quantizer<kRule, kBits>& block) : scale(splat(block.scale)), zero(splat(block.zero)) {}
  F32 value(I32 code) const { return to_float(code - splat(formats::offset({kRule, kBits}))) * scale + zero; }
};

template <Rule kRule, const float* kCodebook>
struct CodebookDequantizer {
  F32 scale;
  Table16 codebook;
  CodebookDequantizer(ConstRunParts in, std::int64_t block)
      : scale(splat(in.scales[block])), codebook(load_table16(kCodebook)) {}
  explicit CodebookDequantizer(const Quantizer<kRule, 4>& block)
      : scale(splat(block.scale)), codebook(load_table16(kCodebook)) {}
  F32 value(I32 code) const { return lookup(codebook, code) * scale; }
};
template <>
struct Dequantizer<Rule::kNormalFloat, 4> : CodebookDequantizer<Rule::kNormalFloat, formats::kNf4> {
  using CodebookDequantizer::CodebookDequantizer;
};
template <>
struct Dequantizer<Rule::kBnbFloat, 4> : CodebookDequantizer<Rule::kBnbFloat, formats::kFp4> {
  using CodebookDequantizer::CodebookDequantizer;
};

template <>
struct Dequantizer<Rule::kE4m3, 8> {
  F32 scale;
  Dequantizer(ConstRunParts in, std::int64_t block) : scale(splat(in.scales[block])) {}
  explicit Dequantizer(const Quantizer<Rule::kE4m3, 8>& block) : scale(splat(block.scale)) {}
  F32 value(I32 code) const {
    const I32 magnitude = code & splat(0x7f);
    // The exponent is moved from bias 7 to 127 by a product, which is exact for subnormals too.
    const I32 finite = as_int(as_float(shift_left<20>(magnitude)) * splat(0x1p120f));
    const I32 number = select(magnitude == splat(formats::kFp8Nan), splat(0x7fc00000), finite);
    return as_float(number | shift_left<24>(code & splat(0x80))) * scale;
  }
};

template <Rule kRule, int kBits>
void dequantize(ConstRunParts in, BlockRun run, float* values) {
  for (std::int64_t first = 0, block = 0; first < run.n; first += run.block, ++block) {
    const std::int64_t end = run.n - first < run.block ? run.n : first + run.block;
    const Dequantizer<kRule, kBits> dequantizer(in, block);
    std::int64_t i = first;
    for (; i + F32::kWidth <= end; i += F32::kWidth) {
      store(values + i, dequantizer.value(load_codes<kBits>(in.codes, i)));
    }
    if (i == end) continue;
    const int rest = static_cast<int>(end - i);
    store_first(values + i, dequantizer.value(load_codes_first<kBits>(in.codes, i, rest)), rest);
  }
}
