// hadamard_transform.
#include "fairopt/hadamard_transform.h"
#include "torch_ops.h"

namespace fairopt::ops {

Tensor hadamard_transform(const Tensor& x, bool transpose) {
  constexpr const char* op = "hadamard_transform";
  const DType dtype = float_dtype(op, "x", x.scalar_type());
  require_dimension(op, "x", x);
  if (x.size(-1) == 0) refuse(op, "x", "of at least one column", shape_text(x));
  require_usable_device(op, x);
  const Tensor source = dense(x);
  const Tensor y = torch::stable::new_empty(source, source.sizes());
  if (x.is_cuda()) {
    cuda::hadamard_transform(source.const_data_ptr(), dtype, leading_numel(x), x.size(-1), transpose,
                             y.mutable_data_ptr(), current_stream(x));
    return y;
  }
  TorchExecutor executor;
  fairopt::hadamard_transform(source.const_data_ptr(), dtype, leading_numel(x), x.size(-1), transpose,
                              y.mutable_data_ptr(), executor);
  return y;
}

}  // namespace fairopt::ops
