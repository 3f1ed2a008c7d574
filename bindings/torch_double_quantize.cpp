// double_quantize, the CPU's alone (python/fairopt/ops/double_quantize.py has other devices), and double_dequantize.
#include "fairopt/double_quantize.h"
#include "torch_ops.h"

namespace fairopt::ops {

std::tuple<Tensor, Tensor, Tensor> double_quantize(const Tensor& scales) {
  constexpr const char* op = "double_quantize";
  require_dtype(op, "scales", scales, ScalarType::Float);
  const Tensor source = dense(scales);
  require_finite(op, "scales", source);
  const Tensor codes = torch::stable::new_empty(source, source.sizes(), ScalarType::Byte);
  const Tensor nested = torch::stable::new_empty(source, {nested_blocks(source.numel())});
  const Tensor offset = torch::stable::new_empty(source, {});
  TorchExecutor executor;
  fairopt::double_quantize(
      source.const_data_ptr<float>(), source.numel(),
      {codes.mutable_data_ptr<std::uint8_t>(), nested.mutable_data_ptr<float>(), offset.mutable_data_ptr<float>()},
      executor);
  return {codes, nested, offset};
}

Tensor double_dequantize(const Tensor& codes, const Tensor& nested_scales, const Tensor& nested_offset) {
  constexpr const char* op = "double_dequantize";
  require_dtype(op, "codes", codes, ScalarType::Byte);
  require_dtype(op, "nested_scales", nested_scales, ScalarType::Float);
  require_dtype(op, "nested_offset", nested_offset, ScalarType::Float);
  require_shape(op, "nested_scales", nested_scales, {nested_blocks(codes.numel())}, "one for every 256 codes");
  require_shape(op, "nested_offset", nested_offset, {}, "a scalar");
  require_device_of(op, "nested_scales", nested_scales, "codes", codes);
  require_device_of(op, "nested_offset", nested_offset, "codes", codes);
  require_usable_device(op, codes);
  const Tensor in = dense(codes), nested = dense(nested_scales);
  const Tensor scales = torch::stable::new_empty(in, in.sizes(), ScalarType::Float);
  const NestedView view{in.const_data_ptr<std::uint8_t>(), nested.const_data_ptr<float>(),
                        nested_offset.const_data_ptr<float>()};
  if (codes.is_cuda()) {
    cuda::double_dequantize(view, in.numel(), scales.mutable_data_ptr<float>(), current_stream(codes));
    return scales;
  }
  TorchExecutor executor;
  fairopt::double_dequantize(view, in.numel(), scales.mutable_data_ptr<float>(), executor);
  return scales;
}

}  // namespace fairopt::ops
