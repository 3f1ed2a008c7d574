#include <pybind11/stl.h>

#include "bind.h"
#include "fairopt/packed_linear.h"
#include "fairopt/quantize.h"

namespace fairopt::bindings {
namespace {

std::pair<int, bool> format_layout(const char* op, const std::string& format, std::int64_t block) {
  const Format parsed = parse_format(format, op);
  check({parsed, 0, 0, block}, op);
  return {code_bits(parsed), has_zeros(parsed)};
}

std::vector<std::string> modes(const std::string& format) {
  std::vector<std::string> names;
  for (const MatmulMode mode : matmul_modes(parse_format(format, "matmul_modes"))) names.emplace_back(name(mode));
  return names;
}

std::string default_mode(const std::string& format) {
  return std::string(name(default_matmul_mode(parse_format(format, "default_matmul_mode"))));
}

}  // namespace

void bind_format(pybind11::module_& m) {
  using pybind11::operator""_a;
  m.def("format_layout", &format_layout, "op"_a, "format"_a, "block"_a,
        "(bits of a code, whether blocks carry a zero point). Raises the ValueError that `op` raises for an unknown\n"
        "format or an impossible block.");
  m.def("matmul_modes", &modes, "format"_a,
        "The arithmetics in which packed weights of a format can be multiplied; empty where it has no packed layout.");
  m.def("default_matmul_mode", &default_mode, "format"_a, "a24 for integer codes where the CPU has VNNI, else exact.");
}

}  // namespace fairopt::bindings
