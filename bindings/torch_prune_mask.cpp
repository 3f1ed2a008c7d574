// prune_mask and prune_mask_n_of_m.
#include "fairopt/prune.h"
#include "torch_ops.h"

namespace fairopt::ops {
namespace {

DType check_score(const char* op, const Tensor& score) {
  if (score.is_cuda()) refuse(op, "score", "on the CPU (there is no CUDA kernel)", device_text(score));
  return float_dtype(op, "score", score.scalar_type());
}

}  // namespace

Tensor prune_mask(const Tensor& score, std::int64_t prune) {
  constexpr const char* op = "prune_mask";
  const DType dtype = check_score(op, score);
  const std::int64_t n = score.numel();
  if (prune < 0 || prune > n) {
    refuse(op, "prune", "between 0 and the " + std::to_string(n) + " values of score", std::to_string(prune));
  }
  const Tensor dense = torch::stable::contiguous(score);
  require_finite(op, "score", dense);
  const Tensor mask = torch::stable::new_empty(dense, dense.sizes(), ScalarType::Bool);
  TorchExecutor executor;
  fairopt::prune_mask(dense.const_data_ptr(), dtype, n, prune, static_cast<std::uint8_t*>(mask.mutable_data_ptr()),
                      executor);
  return mask;
}

Tensor prune_mask_n_of_m(const Tensor& score, std::int64_t n, std::int64_t m) {
  constexpr const char* op = "prune_mask_n_of_m";
  const DType dtype = check_score(op, score);
  require_dimension(op, "score", score);
  const std::int64_t cols = score.size(-1);
  if (m < 1 || m > kMaxM) refuse(op, "m", "between 1 and " + std::to_string(kMaxM), std::to_string(m));
  if (n < 1 || n > m) refuse(op, "n", "between 1 and m = " + std::to_string(m), std::to_string(n));
  if (cols % m != 0) {
    refuse(op, "score", "of a multiple of m = " + std::to_string(m) + " columns", std::to_string(cols));
  }
  const Tensor dense = torch::stable::contiguous(score);
  require_finite(op, "score", dense);
  const Tensor mask = torch::stable::new_empty(dense, dense.sizes(), ScalarType::Bool);
  TorchExecutor executor;
  fairopt::prune_mask_n_of_m(dense.const_data_ptr(), dtype, leading_numel(score), cols, static_cast<int>(n),
                             static_cast<int>(m), static_cast<std::uint8_t*>(mask.mutable_data_ptr()), executor);
  return mask;
}

}  // namespace fairopt::ops
