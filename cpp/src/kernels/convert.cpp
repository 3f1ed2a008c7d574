#include "fairopt/convert.h"

#include <cstring>

#include "kernels/cpu/table.h"
#include "kernels/require.h"

namespace fairopt {
namespace {

using kernels::require;

constexpr std::int64_t kGrain = std::int64_t{1} << 15;  // values: some microseconds

void check(const char* op, const void* source, std::int64_t n, const void* target) {
  require(n >= 0, op, "n must be non-negative, got {}", n);
  require(n == 0 || (source != nullptr && target != nullptr), op, "source and target must not be null");
}

}  // namespace

void to_float32(const void* source, DType dtype, std::int64_t n, float* target, Executor& executor) {
  check("to_float32", source, n, target);
  executor.parallel_for(0, n, kGrain, [&](std::int64_t lo, std::int64_t hi) {
    if (dtype == DType::kFloat32) {
      std::memcpy(target + lo, static_cast<const float*>(source) + lo,
                  static_cast<std::size_t>(hi - lo) * sizeof(float));
      return;
    }
    const auto* bits = static_cast<const std::uint16_t*>(source) + lo;
    const kernels::KernelTable& table = kernels::table();
    (dtype == DType::kFloat16 ? table.f16_to_f32 : table.bf16_to_f32)(bits, hi - lo, target + lo);
  });
}

void from_float32(const float* source, std::int64_t n, void* target, DType dtype, Executor& executor) {
  check("from_float32", source, n, target);
  executor.parallel_for(0, n, kGrain, [&](std::int64_t lo, std::int64_t hi) {
    if (dtype == DType::kFloat32) {
      std::memcpy(static_cast<float*>(target) + lo, source + lo, static_cast<std::size_t>(hi - lo) * sizeof(float));
      return;
    }
    auto* bits = static_cast<std::uint16_t*>(target) + lo;
    const kernels::KernelTable& table = kernels::table();
    (dtype == DType::kFloat16 ? table.f32_to_f16 : table.f32_to_bf16)(source + lo, hi - lo, bits);
  });
}

}  // namespace fairopt
