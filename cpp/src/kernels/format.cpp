#include "fairopt/format.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <stdexcept>

#include "kernels/formats.h"

namespace fairopt {
namespace {

constexpr std::string_view kNames[] = {
    "int8",
    "int4_sym",
    "int4_asym",
    "nf4",
    "fp4",
    "int2_sym",
    "int3_sym",
    "int5_sym",
    "int6_sym",
    "int2_asym",
    "int3_asym",
    "int5_asym",
    "int6_asym",
    "int8_asym",
    "int2_asym_float",
    "int3_asym_float",
    "int4_asym_float",
    "int5_asym_float",
    "int6_asym_float",
    "int8_asym_float",
    "int4_sym_7",
    "int4_sym_no_clip",
    "int4_sym_signed8",
    "int4_tinygemm",
    "fp8",
};
static_assert(std::size(kNames) == kFormatCount && formats::kCount == kFormatCount);

const formats::Spec& spec(Format format) { return formats::kSpecs[static_cast<int>(format)]; }

}  // namespace

std::string_view name(Format format) { return kNames[static_cast<int>(format)]; }
int code_bits(Format format) { return spec(format).bits; }

ZeroPoint zero_point(Format format) {
  if (formats::has_integer_zeros(spec(format).rule)) return ZeroPoint::kInteger;
  return formats::has_float_zeros(spec(format).rule) ? ZeroPoint::kFloat : ZeroPoint::kNone;
}

Format parse_format(std::string_view name, const char* op) {
  for (int i = 0; i < kFormatCount; ++i) {
    if (kNames[i] == name) return static_cast<Format>(i);
  }
  throw std::invalid_argument(fmt::format("{}: format must be one of {}, got '{}'", op, fmt::join(kNames, ", "), name));
}

}  // namespace fairopt
