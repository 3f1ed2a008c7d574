// Blockwise dequantisation: one product a value. A dequantizer is made from the scale and zero point of one block.

struct Int8Dequantizer {
  static constexpr int kBits = 8;
  F32 scale;
  Int8Dequantizer(float s, const std::uint8_t*, std::int64_t) : scale(splat(s)) {}
  F32 value(I32 code) const {  // the byte is two's complement: 128..255 stand for -128..-1
    return to_float(code - shift_left<1>(code & splat(128))) * scale;
  }
};

struct Int4SymDequantizer {
  static constexpr int kBits = 4;
  F32 scale;
  Int4SymDequantizer(float s, const std::uint8_t*, std::int64_t) : scale(splat(s)) {}
  F32 value(I32 code) const { return to_float(code - splat(formats::kInt4SymOffset)) * scale; }
};

struct Int4AsymDequantizer {
  static constexpr int kBits = 4;
  F32 scale;
  I32 zero;
  Int4AsymDequantizer(float s, const std::uint8_t* zeros, std::int64_t block)
      : scale(splat(s)), zero(splat(std::int32_t{zeros[block]})) {}
  F32 value(I32 code) const { return to_float(code - zero) * scale; }
};

template <const float* kCodebook>
struct CodebookDequantizer {
  static constexpr int kBits = 4;
  F32 scale;
  Table16 codebook;
  CodebookDequantizer(float s, const std::uint8_t*, std::int64_t)
      : scale(splat(s)), codebook(load_table16(kCodebook)) {}
  F32 value(I32 code) const { return lookup(codebook, code) * scale; }
};
using Nf4Dequantizer = CodebookDequantizer<formats::kNf4>;
using Fp4Dequantizer = CodebookDequantizer<formats::kFp4>;

template <class Dequantizer>
void dequantize(const std::uint8_t* codes, const float* scales, const std::uint8_t* zeros, BlockRun run,
                float* values) {
  constexpr bool kBytes = Dequantizer::kBits == 8;
  for (std::int64_t first = 0, block = 0; first < run.n; first += run.block, ++block) {
    const std::int64_t end = run.n - first < run.block ? run.n : first + run.block;
    const Dequantizer dequantizer(scales[block], zeros, block);
    std::int64_t i = first;
    for (; i + F32::kWidth <= end; i += F32::kWidth) {
      store(values + i, dequantizer.value(kBytes ? load_u8(codes + i) : load_nibbles(codes + i / 2)));
    }
    if (i == end) continue;
    const int rest = static_cast<int>(end - i);
    const I32 code = kBytes ? load_u8_first(codes + i, rest) : load_nibbles_first(codes + i / 2, rest);
    store_first(values + i, dequantizer.value(code), rest);
  }
}
