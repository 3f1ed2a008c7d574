#include <pybind11/stl.h>

#include "bind.h"
#include "fairopt/double_quantize.h"
#include "fairopt/packed_linear.h"
#include "fairopt/quantize.h"

namespace fairopt::bindings {
namespace {

std::pair<int, std::string> format_layout(const char* op, const std::string& format, std::int64_t block) {
  const Format parsed = parse_format(format, op);
  check({parsed, 0, 0, block}, op);
  const ZeroPoint zero = zero_point(parsed);
  return {code_bits(parsed), zero == ZeroPoint::kNone ? "" : zero == ZeroPoint::kFloat ? "float32" : "uint8"};
}

std::vector<std::string> format_names() {
  std::vector<std::string> names;
  for (int i = 0; i < kFormatCount; ++i) names.emplace_back(name(static_cast<Format>(i)));
  return names;
}

std::vector<std::string> modes(const std::string& format) {
  std::vector<std::string> names;
  for (const MatmulMode mode : matmul_modes(parse_format(format, "matmul_modes"))) names.emplace_back(name(mode));
  return names;
}

std::string default_mode(const std::string& format, bool bf16) {
  return std::string(name(default_matmul_mode(parse_format(format, "default_matmul_mode"), bf16)));
}

std::vector<float> dynamic_map_values() {
  const float* map = dynamic_map();
  return {map, map + 256};
}

}  // namespace

void bind_format(pybind11::module_& m) {
  using pybind11::operator""_a;
  m.def("format_layout", &format_layout, "op"_a, "format"_a, "block"_a,
        "(bits of a code, dtype of the zero points or '' where there are none). Raises the ValueError that `op`\n"
        "raises for an unknown format or an impossible block.");
  m.def("format_names", &format_names, "Of all formats that the kernels know.");
  m.def("dynamic_map", &dynamic_map_values, "The 256 values of bitsandbytes' signed dynamic map, ascending.");
  m.def("matmul_modes", &modes, "format"_a, "The arithmetics in which packed weights of a format can be multiplied.");
  m.def(
      "default_matmul_mode", &default_mode, "format"_a, "bf16"_a = false,
      "The fastest mode as accurate as fp32 for x in fp32 or bf16: a24 for integer codes where the CPU has VNNI, but\n"
      "exact in bf16 where it has AVX-512 BF16; else exact.");
}

}  // namespace fairopt::bindings
