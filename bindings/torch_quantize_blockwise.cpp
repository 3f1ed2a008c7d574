// quantize_blockwise and dequantize_blockwise.
#include "torch_ops.h"

namespace fairopt::ops {

std::tuple<Tensor, Tensor, Tensor> quantize_blockwise(const Tensor& x, std::string format, std::int64_t block) {
  constexpr const char* op = "quantize_blockwise";
  const DType dtype = float_dtype(op, "x", x.scalar_type());
  require_dimension(op, "x", x);
  const QuantizedLayout layout{parse_format(format, op), leading_numel(x), x.size(-1), block};
  check(layout, op);
  require_usable_device(op, x);
  const Tensor source = dense(x);
  if (!x.is_cuda()) require_finite(op, "x", source);  // on CUDA the answer would have to be waited for

  std::vector<std::int64_t> code_sizes = leading_sizes(x), scale_sizes = code_sizes;
  code_sizes.push_back(layout.bytes_per_row());
  scale_sizes.push_back(layout.blocks_per_row());
  const std::vector<std::int64_t> zero_sizes = has_zeros(layout.format) ? scale_sizes : std::vector<std::int64_t>{0};
  const Tensor codes = torch::stable::new_empty(source, code_sizes, ScalarType::Byte);
  const Tensor scales = torch::stable::new_empty(source, scale_sizes, ScalarType::Float);
  const Tensor zeros = torch::stable::new_empty(source, zero_sizes, zeros_dtype(layout.format));
  const ZeroPoint kind = zero_point(layout.format);
  const QuantizedBuffers out{codes.mutable_data_ptr<std::uint8_t>(), scales.mutable_data_ptr<float>(),
                             kind == ZeroPoint::kInteger ? zeros.mutable_data_ptr<std::uint8_t>() : nullptr,
                             kind == ZeroPoint::kFloat ? zeros.mutable_data_ptr<float>() : nullptr};
  if (x.is_cuda()) {
    cuda::quantize(source.const_data_ptr(), dtype, layout, out, current_stream(x));
  } else {
    TorchExecutor executor;
    quantize(source.const_data_ptr(), dtype, layout, out, executor);
  }
  return {codes, scales, zeros};
}

Tensor dequantize_blockwise(const Tensor& codes, const Tensor& scales, const Tensor& zeros, std::string format,
                            std::int64_t block, std::int64_t cols, ScalarType dtype) {
  constexpr const char* op = "dequantize_blockwise";
  const DType target_dtype = float_dtype(op, "dtype", dtype);
  const QuantizedTensors in = quantized_tensors(op, codes, scales, zeros, format, block, cols);

  std::vector<std::int64_t> sizes = leading_sizes(codes);
  sizes.push_back(cols);
  const Tensor target = torch::stable::new_empty(in.codes, sizes, dtype);
  if (target.is_cuda()) {
    cuda::dequantize(in.view(), in.layout, target.mutable_data_ptr(), target_dtype, current_stream(target));
  } else {
    TorchExecutor executor;
    dequantize(in.view(), in.layout, target.mutable_data_ptr(), target_dtype, executor);
  }
  return target;
}

}  // namespace fairopt::ops
