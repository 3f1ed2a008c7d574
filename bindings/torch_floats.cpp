// What a kernel of fp32 reads and writes of CPU tensors of any floating-point type.
#include "fairopt/convert.h"
#include "torch_ops.h"

namespace fairopt::ops {

Floats::Floats(const char* op, const char* argument, const Tensor& tensor) : dense_(dense(tensor)) {
  const DType dtype = float_dtype(op, argument, tensor.scalar_type());
  if (dtype == DType::kFloat32) return;
  const std::int64_t n = dense_.numel();
  widened_ = std::make_unique_for_overwrite<float[]>(static_cast<std::size_t>(n));
  TorchExecutor executor;
  to_float32(dense_.const_data_ptr(), dtype, n, widened_.get(), executor);
}

const float* Floats::data() const { return widened_ ? widened_.get() : dense_.const_data_ptr<float>(); }

FloatOutput::FloatOutput(const char* op, const Tensor& like, const std::vector<std::int64_t>& sizes)
    : tensor_(torch::stable::new_empty(like, sizes)), dtype_(float_dtype(op, "x", like.scalar_type())) {
  if (dtype_ == DType::kFloat32) return;
  wide_ = std::make_unique_for_overwrite<float[]>(static_cast<std::size_t>(tensor_.numel()));
}

float* FloatOutput::data() const { return wide_ ? wide_.get() : tensor_.mutable_data_ptr<float>(); }

Tensor FloatOutput::round() const {
  if (!wide_) return tensor_;
  TorchExecutor executor;
  from_float32(wide_.get(), tensor_.numel(), tensor_.mutable_data_ptr(), dtype_, executor);
  return tensor_;
}

}  // namespace fairopt::ops
