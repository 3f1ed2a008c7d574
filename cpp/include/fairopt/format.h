// Number formats of compressed weights. Every table and bit layout behind them lives in src/kernels/formats.h.
#pragma once
#include <cstdint>
#include <string_view>

namespace fairopt {

/// How a block of weights is stored: codes plus one fp32 scale a block (plus one zero point for the asymmetric
/// formats). "Int4" alone says nothing (docs/formats.md has the dialects), so every name says dialect and bits:
///   IntBSym        codes [-2^(B-1), 2^(B-1) - 1] stored + 2^(B-1), scale = amax / (2^(B-1) - 0.5); 4: `sym_7_5`
///   IntBAsym       codes [0, 2^B - 1], scale = (max - min) / (2^B - 1) over a range that includes 0, integer zero
///   point IntBAsymFloat  the same codes, the range as it is, its minimum kept as a float
enum class Format : std::uint8_t {
  kInt8,  ///< signed codes [-127, 127], scale = amax / 127
  kInt4Sym,
  kInt4Asym,
  kNf4,  ///< QLoRA's 16-value codebook, scale = amax
  kFp4,  ///< bitsandbytes' FP4 codebook, scale = amax
  kInt2Sym,
  kInt3Sym,
  kInt5Sym,
  kInt6Sym,
  kInt2Asym,
  kInt3Asym,
  kInt5Asym,
  kInt6Asym,
  kInt8Asym,
  kInt2AsymFloat,
  kInt3AsymFloat,
  kInt4AsymFloat,
  kInt5AsymFloat,
  kInt6AsymFloat,
  kInt8AsymFloat,
  kInt4Sym7,        ///< codes [-7, 7] stored + 8, scale = amax / 7
  kInt4SymNoClip,   ///< codes [-8, 7] stored + 8, scale = max(min / -8, max / 7)
  kInt4SymSigned8,  ///< codes [-8, 7] stored + 8, scale = the value of largest magnitude / -8, which may be negative
  kInt4Tinygemm,    ///< as kInt4AsymFloat, but kept is the value of code 8
  kFp8,             ///< e4m3fn, scale = amax / 448
};
inline constexpr int kFormatCount = 25;

/// What a block keeps beside its scale: nothing, a byte (the code of 0), or a float (a value).
enum class ZeroPoint : std::uint8_t { kNone, kInteger, kFloat };

/// Element type of a dense buffer.
enum class DType : std::uint8_t { kFloat32, kFloat16, kBFloat16 };

/// The name users write: "int8", "int4_sym", "int4_sym_7", "int3_asym", "int4_asym_float", "nf4", ...
std::string_view name(Format format);
/// The format of that name. Throws std::invalid_argument `<op>: format must be one of ...` that lists the names.
Format parse_format(std::string_view name, const char* op = "parse_format");
/// Bits of one code: 2, 3, 4, 5, 6 or 8.
int code_bits(Format format);
ZeroPoint zero_point(Format format);
/// Whether blocks carry a zero point of either kind.
inline bool has_zeros(Format format) { return zero_point(format) != ZeroPoint::kNone; }

}  // namespace fairopt
