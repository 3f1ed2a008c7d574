#include "bind.h"
#include "fairopt/quantize.h"

namespace fairopt::bindings {
namespace {

std::pair<int, bool> format_layout(const char* op, const std::string& format, std::int64_t block) {
  const Format parsed = parse_format(format, op);
  check({parsed, 0, 0, block}, op);
  return {code_bits(parsed), has_zeros(parsed)};
}

}  // namespace

void bind_format(pybind11::module_& m) {
  using pybind11::operator""_a;
  m.def("format_layout", &format_layout, "op"_a, "format"_a, "block"_a,
        "(bits of a code, whether blocks carry a zero point). Raises the ValueError that `op` raises for an unknown\n"
        "format or an impossible block.");
}

}  // namespace fairopt::bindings
