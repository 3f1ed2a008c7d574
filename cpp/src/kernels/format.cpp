#include "fairopt/format.h"

#include <fmt/format.h>

#include <stdexcept>

namespace fairopt {
namespace {

struct Entry {
  Format format;
  std::string_view name;
  int bits;
  bool zeros;
};
constexpr Entry kFormats[] = {
    {Format::kInt8, "int8", 8, false},         {Format::kInt4Sym, "int4_sym", 4, false},
    {Format::kInt4Asym, "int4_asym", 4, true}, {Format::kNf4, "nf4", 4, false},
    {Format::kFp4, "fp4", 4, false},
};

const Entry& entry(Format format) { return kFormats[static_cast<int>(format)]; }

}  // namespace

std::string_view name(Format format) { return entry(format).name; }
int code_bits(Format format) { return entry(format).bits; }
bool has_zeros(Format format) { return entry(format).zeros; }

Format parse_format(std::string_view name, const char* op) {
  for (const Entry& e : kFormats) {
    if (e.name == name) return e.format;
  }
  throw std::invalid_argument(
      fmt::format("{}: format must be one of int8, int4_sym, int4_asym, nf4, fp4, got '{}'", op, name));
}

}  // namespace fairopt
