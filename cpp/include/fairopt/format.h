// Number formats of compressed weights. Every table and bit layout behind them lives in src/kernels/formats.h.
#pragma once
#include <cstdint>
#include <string_view>

namespace fairopt {

/// How a block of weights is stored: codes plus one fp32 scale a block (plus one zero point for the asymmetric format).
enum class Format : std::uint8_t {
  kInt8,      ///< signed codes [-127, 127], scale = amax / 127
  kInt4Sym,   ///< dialect `sym_7_5`: codes [-8, 7] stored + 8, scale = amax / 7.5
  kInt4Asym,  ///< dialect `asym_int`: codes [0, 15], scale = (max - min) / 15 over a range that includes 0, integer
              ///< zero point
  kNf4,       ///< QLoRA's 16-value codebook, scale = amax
  kFp4,       ///< bitsandbytes' FP4 codebook, scale = amax
};

/// Element type of a dense buffer.
enum class DType : std::uint8_t { kFloat32, kFloat16, kBFloat16 };

/// The name users write: "int8", "int4_sym", "int4_asym", "nf4", "fp4".
std::string_view name(Format format);
/// The format of that name. Throws std::invalid_argument `<op>: format must be one of ...` that lists the names.
Format parse_format(std::string_view name, const char* op = "parse_format");
/// Bits of one code: 8 or 4.
int code_bits(Format format);
/// Whether blocks carry a zero point.
bool has_zeros(Format format);

}  // namespace fairopt
