#include <algorithm>

#include "fairopt/cpu_capability.h"
#include "fairopt/packed_linear.h"
#include "kernels/cpu/table.h"
#include "kernels/packed_format.h"
#include "kernels/require.h"

namespace fairopt {
namespace {

constexpr std::string_view kNames[] = {"exact", "a8", "a16", "a24", "i16"};

bool has_vnni() { return cpu_capability() == "avx512_vnni"; }

}  // namespace

std::string_view name(MatmulMode mode) { return kNames[static_cast<int>(mode)]; }

MatmulMode parse_matmul_mode(std::string_view name, const char* op) {
  const auto* found = std::find(std::begin(kNames), std::end(kNames), name);
  kernels::require(found != std::end(kNames), op, "mode must be one of exact, a8, a16, a24, i16, got '{}'", name);
  return static_cast<MatmulMode>(found - std::begin(kNames));
}

std::vector<MatmulMode> matmul_modes(Format format) {
  const kernels::PackedCodes codes = kernels::packed_codes(format);
  if (codes.codebook != nullptr && codes.bits == 8) return {MatmulMode::kExact};
  if (codes.codebook != nullptr) return {MatmulMode::kExact, MatmulMode::kI16};
  return {MatmulMode::kExact, MatmulMode::kA8, MatmulMode::kA16, MatmulMode::kA24};
}

MatmulMode default_matmul_mode(Format format, bool bf16) {
  const bool integers = kernels::packed_codes(format).codebook == nullptr;
  const bool pairs = bf16 && kernels::table().bf16 != nullptr;
  return integers && has_vnni() && !pairs ? MatmulMode::kA24 : MatmulMode::kExact;
}

}  // namespace fairopt
