// What the kernels of quantized_linear share: the operands and which of the kernels takes them.
#pragma once
#include <cstddef>

#include "fairopt/cuda.h"
#include "kernels/cuda/lookup.cuh"

namespace fairopt::cuda {

struct LinearProblem {
  Source x;  // [m, cols]
  std::int64_t m;
  Weight w;         // [rows, cols]
  Source bias;      // [rows], or no data
  Target y;         // [m, rows]
  uint4* arranged;  // workspace

  explicit LinearProblem(const QuantizedLinearArgs& a)
      : x{a.x, a.dtype},
        m(a.m),
        w(a.weight, a.layout),
        bias{a.bias, a.dtype},
        y{a.y, a.dtype},
        arranged(static_cast<uint4*>(a.workspace)) {}

  /// `count` rows of x from `first` on.
  LinearProblem part(std::int64_t first, std::int64_t count) const {
    const std::int64_t bytes = x.dtype == DType::kFloat32 ? 4 : 2;
    LinearProblem rows = *this;
    rows.x.data = static_cast<const std::byte*>(x.data) + first * w.s.cols * bytes;
    rows.y.data = static_cast<std::byte*>(y.data) + first * w.s.rows * bytes;
    rows.m = count;
    return rows;
  }

  __device__ void finish(std::int64_t i, std::int64_t row, float sum) const {
    y.set(i * w.s.rows + row, bias.data == nullptr ? sum : __fadd_rn(sum, bias[row]));
  }
};

void launch_vectors(const LinearProblem& p, cudaStream_t stream);
void launch_tensor_cores(const LinearProblem& p, cudaStream_t stream);

}  // namespace fairopt::cuda
