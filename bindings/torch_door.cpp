// The checks that every operator makes before it allocates anything.
#include <algorithm>
#include <stdexcept>

#include "torch_ops.h"

namespace fairopt::ops {
namespace {

std::string list_text(const std::vector<std::int64_t>& sizes) {
  std::string text = "[";
  for (const std::int64_t size : sizes) text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + "]";
}

}  // namespace

void refuse(const char* op, const char* argument, const std::string& requirement, const std::string& got) {
  throw std::invalid_argument(std::string(op) + ": " + argument + " must be " + requirement + ", got " + got);
}

std::string shape_text(const Tensor& tensor) {
  const auto sizes = tensor.sizes();
  return list_text({sizes.begin(), sizes.end()});
}

std::string dtype_text(ScalarType type) {
  switch (type) {
    case ScalarType::Float:
      return "float32";
    case ScalarType::Double:
      return "float64";
    case ScalarType::Half:
      return "float16";
    case ScalarType::BFloat16:
      return "bfloat16";
    case ScalarType::Byte:
      return "uint8";
    case ScalarType::Char:
      return "int8";
    case ScalarType::Short:
      return "int16";
    case ScalarType::Int:
      return "int32";
    case ScalarType::Long:
      return "int64";
    case ScalarType::Bool:
      return "bool";
    default:
      return torch::headeronly::toString(type);
  }
}

std::string device_text(const Tensor& tensor) {
  return tensor.is_cuda() ? "cuda:" + std::to_string(tensor.get_device_index()) : "cpu";
}

DType float_dtype(const char* op, const char* argument, ScalarType type) {
  switch (type) {
    case ScalarType::Float:
      return DType::kFloat32;
    case ScalarType::Half:
      return DType::kFloat16;
    case ScalarType::BFloat16:
      return DType::kBFloat16;
    default:
      refuse(op, argument, "float32, float16 or bfloat16", dtype_text(type));
  }
}

void require_dtype(const char* op, const char* argument, const Tensor& tensor, ScalarType type) {
  if (tensor.scalar_type() != type) refuse(op, argument, dtype_text(type), dtype_text(tensor.scalar_type()));
}

void require_shape(const char* op, const char* argument, const Tensor& tensor, const std::vector<std::int64_t>& sizes,
                   const std::string& because) {
  const auto got = tensor.sizes();
  if (!std::equal(got.begin(), got.end(), sizes.begin(), sizes.end())) {
    refuse(op, argument, list_text(sizes) + " " + because, shape_text(tensor));
  }
}

void require_dimension(const char* op, const char* argument, const Tensor& tensor) {
  if (tensor.dim() == 0) refuse(op, argument, "of at least one dimension", "a scalar");
}

void require_device_of(const char* op, const char* argument, const Tensor& tensor, const char* like_name,
                       const Tensor& like) {
  if (device_text(tensor) != device_text(like)) {
    refuse(op, argument, "on " + device_text(like) + " like " + like_name, device_text(tensor));
  }
}

void require_usable_device(const char* op, const Tensor& tensor) {
  if (tensor.is_cuda()) cuda::require_usable(op);
}

void require_finite(const char* op, const char* argument, const Tensor& tensor) {
  TorchExecutor executor;
  const DType dtype = float_dtype(op, argument, tensor.scalar_type());
  const std::int64_t bad = count_nonfinite(tensor.const_data_ptr(), dtype, tensor.numel(), executor);
  if (bad > 0) refuse(op, argument, "finite", std::to_string(bad) + " NaN or infinite values");
}

std::vector<std::int64_t> leading_sizes(const Tensor& tensor) {
  const auto sizes = tensor.sizes();
  return {sizes.begin(), sizes.end() - 1};
}

std::int64_t leading_numel(const Tensor& tensor) {
  std::int64_t product = 1;
  for (const std::int64_t size : leading_sizes(tensor)) product *= size;
  return product;
}

ScalarType zeros_dtype(Format format) {
  return zero_point(format) == ZeroPoint::kFloat ? ScalarType::Float : ScalarType::Byte;
}

QuantizedView QuantizedTensors::view() const {
  const ZeroPoint kind = zero_point(layout.format);
  return {codes.const_data_ptr<std::uint8_t>(), scales.const_data_ptr<float>(),
          kind == ZeroPoint::kInteger ? zeros.const_data_ptr<std::uint8_t>() : nullptr,
          kind == ZeroPoint::kFloat ? zeros.const_data_ptr<float>() : nullptr};
}

Tensor dense(const Tensor& tensor) { return tensor.is_contiguous() ? tensor : torch::stable::contiguous(tensor); }

Tensor in_dtype(const Tensor& tensor, ScalarType type) {
  return tensor.scalar_type() == type ? tensor : torch::stable::to(tensor, type);
}

QuantizedTensors quantized_tensors(const char* op, const Tensor& codes, const Tensor& scales, const Tensor& zeros,
                                   const std::string& format, std::int64_t block, std::int64_t cols) {
  require_dimension(op, "codes", codes);
  require_dtype(op, "codes", codes, ScalarType::Byte);
  require_dtype(op, "scales", scales, ScalarType::Float);
  const QuantizedLayout layout{parse_format(format, op), leading_numel(codes), cols, block};
  require_dtype(op, "zeros", zeros, zeros_dtype(layout.format));
  if (cols < 0) refuse(op, "cols", "at least 0", std::to_string(cols));
  check(layout, op);

  std::vector<std::int64_t> sizes = leading_sizes(codes);
  sizes.push_back(layout.bytes_per_row());
  require_shape(op, "codes", codes, sizes, "for " + std::to_string(cols) + " columns of " + format);
  sizes.back() = layout.blocks_per_row();
  require_shape(op, "scales", scales, sizes,
                "for " + std::to_string(cols) + " columns in blocks of " + std::to_string(block));
  if (!has_zeros(layout.format)) sizes = {0};
  require_shape(op, "zeros", zeros, sizes, "for " + format);
  require_device_of(op, "scales", scales, "codes", codes);
  require_device_of(op, "zeros", zeros, "codes", codes);
  require_usable_device(op, codes);
  return {dense(codes), dense(scales), dense(zeros), layout};
}

Tensor solvable_weight(const char* op, const Tensor& weight) {
  if (weight.is_cuda()) refuse(op, "weight", "on the CPU (there is no CUDA kernel)", device_text(weight));
  require_dtype(op, "weight", weight, ScalarType::Float);
  if (weight.dim() != 2) refuse(op, "weight", "a matrix", shape_text(weight));
  const Tensor source = dense(weight);
  require_finite(op, "weight", source);
  return source;
}

Tensor hessian_of(const char* op, const char* argument, const Tensor& hessian, const Tensor& weight) {
  if (hessian.is_cuda()) refuse(op, argument, "on the CPU (there is no CUDA kernel)", device_text(hessian));
  require_dtype(op, argument, hessian, ScalarType::Float);
  require_shape(op, argument, hessian, {weight.size(1), weight.size(1)}, "for a weight " + shape_text(weight));
  return dense(hessian);
}

ActOrder parse_act_order(const char* op, const std::string& name) {
  if (name == "none") return ActOrder::kNone;
  if (name == "static") return ActOrder::kStatic;
  if (name == "dynamic") return ActOrder::kDynamic;
  refuse(op, "act_order", "one of none, static, dynamic", name);
}

QuantizedOutputs::QuantizedOutputs(const Tensor& like, const QuantizedLayout& layout)
    : codes(torch::stable::new_empty(like, {layout.rows, layout.bytes_per_row()}, ScalarType::Byte)),
      scales(torch::stable::new_empty(like, {layout.rows, layout.blocks_per_row()}, ScalarType::Float)),
      zeros(torch::stable::new_empty(like,
                                     has_zeros(layout.format)
                                         ? std::vector<std::int64_t>{layout.rows, layout.blocks_per_row()}
                                         : std::vector<std::int64_t>{0},
                                     zeros_dtype(layout.format))),
      kind(zero_point(layout.format)) {}

QuantizedBuffers QuantizedOutputs::buffers() const {
  return {codes.mutable_data_ptr<std::uint8_t>(), scales.mutable_data_ptr<float>(),
          kind == ZeroPoint::kInteger ? zeros.mutable_data_ptr<std::uint8_t>() : nullptr,
          kind == ZeroPoint::kFloat ? zeros.mutable_data_ptr<float>() : nullptr};
}

}  // namespace fairopt::ops
