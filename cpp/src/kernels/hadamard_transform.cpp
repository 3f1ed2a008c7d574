#include "fairopt/hadamard_transform.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "kernels/cpu/table.h"
#include "kernels/elements.h"
#include "kernels/hadamard_matrix.h"
#include "kernels/require.h"

namespace fairopt {
namespace {

using kernels::require;

constexpr const char* op = "hadamard_transform";
constexpr std::int64_t kGrain = 16384;  // values a thread should get at least: some microseconds of work
constexpr std::int8_t kOne[1] = {1};

kernels::HadamardTransform block_transform(const HadamardShape& shape, bool transpose) {
  const std::int8_t* matrix = shape.order == 1 ? kOne : kernels::paley_matrix(shape.order).data();
  const double size = static_cast<double>(shape.order * shape.power);
  return {matrix, shape.order, shape.power, transpose, static_cast<float>(1.0 / std::sqrt(size))};
}

/// Any number of values, where as_floats and store_rounded take one run.
void load_row(const void* values, DType dtype, std::int64_t offset, std::int64_t n, float* out) {
  for (std::int64_t i = 0; i < n; i += kernels::kMaxRun) {
    const std::int64_t count = std::min(kernels::kMaxRun, n - i);
    const float* from = kernels::as_floats(values, dtype, offset + i, count, out + i);
    if (from != out + i) std::memcpy(out + i, from, static_cast<std::size_t>(count) * sizeof(float));
  }
}

void store_row(const float* values, std::int64_t n, void* out, DType dtype, std::int64_t offset) {
  if (dtype == DType::kFloat32) {
    std::memcpy(static_cast<float*>(out) + offset, values, static_cast<std::size_t>(n) * sizeof(float));
    return;
  }
  for (std::int64_t i = 0; i < n; i += kernels::kMaxRun) {
    kernels::store_rounded(values + i, std::min(kernels::kMaxRun, n - i), out, dtype, offset + i);
  }
}

}  // namespace

HadamardShape hadamard_shape(std::int64_t n) {
  require(n >= 1, op, "x must be of at least one column, got {}", n);
  std::int64_t odd = n, power = 1;
  for (; odd % 2 == 0; odd /= 2) power *= 2;
  if (odd == 1) return {1, 1, n};
  for (std::int64_t order = 4 * odd; order <= std::min(n, kernels::kMaxHadamardOrder) && n % order == 0; order *= 2) {
    if (kernels::has_paley_matrix(order)) return {1, order, n / order};
  }
  return {odd, 1, power};
}

void hadamard_transform(const void* x, DType dtype, std::int64_t rows, std::int64_t cols, bool transpose, void* y,
                        Executor& executor) {
  require(rows >= 0, op, "rows must be non-negative, got {}", rows);
  const HadamardShape shape = hadamard_shape(cols);
  if (rows == 0) return;
  require(x != nullptr && y != nullptr, op, "x and y must not be null");
  const kernels::HadamardTransform args = block_transform(shape, transpose);
  const std::int64_t size = shape.order * shape.power, blocks = rows * shape.blocks;
  executor.parallel_for(0, blocks, kGrain / size + 1, [&](std::int64_t first, std::int64_t last) {
    std::vector<float> in(static_cast<std::size_t>(size)), out(static_cast<std::size_t>(size));
    for (; first < last; ++first) {
      load_row(x, dtype, first * size, size, in.data());
      kernels::table().hadamard_transform(args, in.data(), out.data());
      store_row(out.data(), size, y, dtype, first * size);
    }
  });
}

}  // namespace fairopt
