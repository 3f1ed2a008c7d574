#include "kernels/reference_sparse_linear.h"

#include <algorithm>
#include <cmath>

#include "kernels/cpu/table.h"
#include "kernels/elements.h"

namespace fairopt::kernels::reference {
namespace {

float value(const SparseSource& source, SparseType type, std::int64_t i) {
  if (type == SparseType::kInt8) return static_cast<const std::int8_t*>(source.weight)[i];
  const DType dtype = type == SparseType::kFloat32   ? DType::kFloat32
                      : type == SparseType::kFloat16 ? DType::kFloat16
                                                     : DType::kBFloat16;
  float buffer;
  return *as_floats(source.weight, dtype, i, 1, &buffer);
}

}  // namespace

std::vector<float> sparse_linear(const SparseSource& source, const SparseLinearArgs& args, bool fused) {
  const auto [type, rows, cols] = args.layout;
  std::vector<float> y;
  for (std::int64_t t = 0; t < args.m; ++t) {
    for (std::int64_t row = 0; row < rows; ++row) {
      float sum = 0.0f;
      for (std::int64_t first = 0; first < cols; first += kSparseChunk) {
        float chain = 0.0f;
        for (std::int64_t k = first; k < std::min(first + kSparseChunk, cols); ++k) {
          const float w = value(source, type, row * cols + k), x = args.x[t * cols + k];
          chain = fused ? std::fma(w, x, chain) : chain + w * x;
        }
        sum += chain;
      }
      if (type == SparseType::kInt8) sum *= source.scales[row];
      y.push_back(args.bias == nullptr ? sum : sum + args.bias[row]);
    }
  }
  return y;
}

}  // namespace fairopt::kernels::reference
