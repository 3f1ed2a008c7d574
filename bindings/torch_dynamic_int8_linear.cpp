// dynamic_int8_linear: y = x W^T + bias with int8 weights, x rounded to int8 as it comes.
#include "fairopt/dynamic_int8_linear.h"
#include "torch_ops.h"

namespace fairopt::ops {
namespace {

constexpr const char* op = "dynamic_int8_linear";

void check(const Tensor& x, const Tensor& codes, const Tensor& scales, const std::optional<Tensor>& bias) {
  require_dimension(op, "x", x);
  float_dtype(op, "x", x.scalar_type());
  require_usable_device(op, x);
  require_dtype(op, "codes", codes, ScalarType::Char);
  require_dtype(op, "scales", scales, ScalarType::Float);
  if (codes.dim() != 2 || codes.size(1) != x.size(-1)) {
    refuse(op, "codes", "[n, " + std::to_string(x.size(-1)) + "] for x", shape_text(codes));
  }
  require_shape(op, "scales", scales, {codes.size(0)}, "for the rows of codes");
  require_device_of(op, "codes", codes, "x", x);
  require_device_of(op, "scales", scales, "x", x);
  if (!bias) return;
  require_dtype(op, "bias", *bias, x.scalar_type());
  require_shape(op, "bias", *bias, {codes.size(0)}, "for the rows of codes");
  require_device_of(op, "bias", *bias, "x", x);
}

Tensor run_cuda(const Tensor& x, const Tensor& codes, const Tensor& scales, const std::optional<Tensor>& bias,
                float threshold, const std::vector<std::int64_t>& sizes) {
  const Tensor in = dense(x), weight = dense(codes), steps = dense(scales), offset = bias ? dense(*bias) : steps;
  const std::int64_t m = leading_numel(x), k = codes.size(1);
  const Tensor y = torch::stable::new_empty(in, sizes);
  const auto bytes = static_cast<std::int64_t>(cuda::dynamic_int8_bytes(m, k));
  const Tensor workspace = torch::stable::new_empty(in, {bytes}, ScalarType::Byte);
  cuda::dynamic_int8_linear({.x = in.const_data_ptr(),
                             .dtype = float_dtype(op, "x", x.scalar_type()),
                             .m = m,
                             .n = codes.size(0),
                             .k = k,
                             .codes = weight.const_data_ptr<std::int8_t>(),
                             .scales = steps.const_data_ptr<float>(),
                             .bias = bias ? offset.const_data_ptr() : nullptr,
                             .threshold = threshold,
                             .y = y.mutable_data_ptr()},
                            workspace.mutable_data_ptr(), current_stream(x));
  return y;
}

}  // namespace

Tensor dynamic_int8_linear(const Tensor& x, const Tensor& codes, const Tensor& scales, std::optional<Tensor> bias,
                           double threshold) {
  check(x, codes, scales, bias);
  std::vector<std::int64_t> sizes = leading_sizes(x);
  sizes.push_back(codes.size(0));
  if (x.is_cuda()) return run_cuda(x, codes, scales, bias, static_cast<float>(threshold), sizes);
  const Floats in(op, "x", x);
  const Tensor weight = dense(codes), steps = dense(scales);
  const std::optional<Floats> offset = bias ? std::optional(Floats(op, "bias", *bias)) : std::nullopt;
  const FloatOutput y(op, x, sizes);
  TorchExecutor executor;
  fairopt::dynamic_int8_linear({.x = in.data(),
                                .m = leading_numel(x),
                                .n = codes.size(0),
                                .k = codes.size(1),
                                .codes = weight.const_data_ptr<std::int8_t>(),
                                .scales = steps.const_data_ptr<float>(),
                                .bias = offset ? offset->data() : nullptr,
                                .threshold = static_cast<float>(threshold),
                                .y = y.data()},
                               executor);
  return y.round();
}

}  // namespace fairopt::ops
