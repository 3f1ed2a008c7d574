// apply_mask.
#include "fairopt/prune.h"
#include "torch_ops.h"

namespace fairopt::ops {

Tensor apply_mask(const Tensor& weight, const Tensor& keep) {
  constexpr const char* op = "apply_mask";
  if (weight.scalar_type() != ScalarType::Double) float_dtype(op, "weight", weight.scalar_type());
  require_dtype(op, "keep", keep, ScalarType::Bool);
  require_device_of(op, "keep", keep, "weight", weight);
  require_shape(op, "keep", keep, std::vector<std::int64_t>(weight.sizes().begin(), weight.sizes().end()),
                "like weight");
  const Tensor values = dense(weight), mask = dense(keep);
  const Tensor out = torch::stable::new_empty(values, values.sizes());
  TorchExecutor executor;
  fairopt::apply_mask(values.const_data_ptr(), static_cast<int>(values.element_size()), values.numel(),
                      static_cast<const std::uint8_t*>(mask.const_data_ptr()), out.mutable_data_ptr(), executor);
  return out;
}

}  // namespace fairopt::ops
