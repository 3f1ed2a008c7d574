#include "kernels/elements.h"

#include "kernels/cpu/table.h"

namespace fairopt::kernels {

const float* as_floats(const void* values, DType dtype, std::int64_t offset, std::int64_t n, float* buffer) {
  if (dtype == DType::kFloat32) return static_cast<const float*>(values) + offset;
  const auto* bits = static_cast<const std::uint16_t*>(values) + offset;
  (dtype == DType::kFloat16 ? table().f16_to_f32 : table().bf16_to_f32)(bits, n, buffer);
  return buffer;
}

void store_rounded(const float* in, std::int64_t n, void* values, DType dtype, std::int64_t offset) {
  auto* bits = static_cast<std::uint16_t*>(values) + offset;
  (dtype == DType::kFloat16 ? table().f32_to_f16 : table().f32_to_bf16)(in, n, bits);
}

}  // namespace fairopt::kernels
