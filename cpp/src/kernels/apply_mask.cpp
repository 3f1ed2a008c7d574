#include "fairopt/prune.h"
#include "kernels/cpu/table.h"
#include "kernels/huge_pages.h"
#include "kernels/require.h"

namespace fairopt {

void apply_mask(const void* values, int value_bytes, std::int64_t n, const std::uint8_t* mask, void* out,
                Executor& executor) {
  constexpr const char* op = "apply_mask";
  constexpr std::int64_t kGrain = 1 << 16;
  kernels::require(value_bytes == 2 || value_bytes == 4 || value_bytes == 8, op,
                   "value_bytes must be 2, 4 or 8, got {}", value_bytes);
  kernels::require(n >= 0, op, "n must be at least 0, got {}", n);
  kernels::require(n == 0 || (values != nullptr && mask != nullptr && out != nullptr), op,
                   "values, mask and out must not be null");
  auto* bytes = static_cast<std::uint8_t*>(out);
  kernels::prefer_huge_pages(bytes, n * value_bytes);
  const auto kernel = kernels::table().apply_mask[value_bytes / 4];
  executor.parallel_for(0, n, kGrain, [&](std::int64_t first, std::int64_t last) {
    kernel(static_cast<const std::uint8_t*>(values) + first * value_bytes, last - first, mask + first,
           bytes + first * value_bytes);
  });
}

}  // namespace fairopt
