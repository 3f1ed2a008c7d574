// pack_sparse, unpack_sparse and sparse_linear: pruned weights as masks and values.
#include <array>
#include <stdexcept>

#include "fairopt/sparse_linear.h"
#include "torch_ops.h"

namespace fairopt::ops {
namespace {

SparseType sparse_type(const char* op, const char* argument, ScalarType type) {
  if (type == ScalarType::Char) return SparseType::kInt8;
  if (type == ScalarType::Float) return SparseType::kFloat32;
  if (type == ScalarType::Half) return SparseType::kFloat16;
  if (type == ScalarType::BFloat16) return SparseType::kBFloat16;
  refuse(op, argument, "float32, float16, bfloat16 or int8", dtype_text(type));
}

SparseLayout layout_of(const char* op, const Tensor& packed, ScalarType dtype, std::int64_t rows, std::int64_t cols) {
  require_dtype(op, "packed", packed, ScalarType::Byte);
  if (packed.dim() != 1) refuse(op, "packed", "[bytes]", shape_text(packed));
  if (rows < 0) refuse(op, "rows", "non-negative", std::to_string(rows));
  if (cols < 0) refuse(op, "cols", "non-negative", std::to_string(cols));
  return {sparse_type(op, "dtype", dtype), rows, cols};
}

/// Packed bytes with their weight, dense.
struct Unpacked {
  Tensor weight, scales;
};
Unpacked unpacked(const Tensor& packed, ScalarType dtype, const SparseLayout& layout) {
  const std::int64_t scales = layout.type == SparseType::kInt8 ? layout.rows : 0;
  Unpacked out{torch::stable::new_empty(packed, {layout.rows, layout.cols}, dtype),
               torch::stable::new_empty(packed, {scales}, ScalarType::Float)};
  const SparseTarget target{out.weight.mutable_data_ptr(), out.scales.mutable_data_ptr<float>()};
  const Tensor bytes = dense(packed);
  const auto* data = bytes.const_data_ptr<std::uint8_t>();
  if (packed.is_cuda()) {
    cuda::unpack_sparse({data, bytes.numel(), layout}, target, current_stream(packed));
  } else {
    TorchExecutor executor;
    fairopt::unpack_sparse(data, bytes.numel(), layout, target, executor);
  }
  return out;
}

struct Operands {
  Tensor x, packed;
  std::optional<Tensor> bias;
  SparseLayout layout;
  ScalarType dtype;
  std::int64_t m;
  std::vector<std::int64_t> y_sizes;
};

/// fp32 inside, whatever the 16-bit type outside: one rounding at the end.
Tensor run_cpu(const char* op, const Operands& in) {
  const Floats x(op, "x", in.x);
  const std::optional<Floats> bias = in.bias ? std::optional(Floats(op, "bias", *in.bias)) : std::nullopt;
  const FloatOutput y(op, in.x, in.y_sizes);
  TorchExecutor executor;
  fairopt::sparse_linear({.x = x.data(),
                          .m = in.m,
                          .packed = in.packed.const_data_ptr<std::uint8_t>(),
                          .bytes = in.packed.numel(),
                          .layout = in.layout,
                          .bias = bias ? bias->data() : nullptr,
                          .y = y.data()},
                         executor);
  return y.round();
}

template <class... Arguments>
Tensor call_torch(const char* name, const char* overload, const Arguments&... arguments) {
  std::array<StableIValue, sizeof...(Arguments)> stack{torch::stable::detail::from(arguments)...};
  if (torch_call_dispatcher(name, overload, stack.data(), TORCH_ABI_VERSION) != 0) {
    throw std::runtime_error(std::string("sparse_linear: ") + name + " must take the dense weight, got an error");
  }
  return torch::stable::detail::to<Tensor>(stack[0]);
}

/// torch's product with the dense weight in the type of x: in double on the CPU, and on CUDA for more rows than the
/// fused kernel takes.
Tensor run_dense(const Operands& in) {
  const auto [values, scales] = unpacked(in.packed, in.dtype, in.layout);
  Tensor weight = in_dtype(values, in.x.scalar_type());
  if (in.layout.type == SparseType::kInt8) {
    const Tensor column = call_torch("aten::unsqueeze", "", in_dtype(scales, in.x.scalar_type()), std::int64_t{1});
    weight = call_torch("aten::mul", "Tensor", weight, column);
  }
  return call_torch("aten::linear", "", in.x, weight, in.bias);
}

Tensor run_cuda(const Operands& in, DType dtype) {
  if (in.m > cuda::kMaxVectorRows) return run_dense(in);
  const Tensor y = torch::stable::new_empty(in.x, in.y_sizes);
  cuda::sparse_linear({.x = in.x.const_data_ptr(),
                       .dtype = dtype,
                       .m = in.m,
                       .weight = {in.packed.const_data_ptr<std::uint8_t>(), in.packed.numel(), in.layout},
                       .bias = in.bias ? in.bias->const_data_ptr() : nullptr,
                       .y = y.mutable_data_ptr()},
                      current_stream(in.x));
  return y;
}

}  // namespace

Tensor pack_sparse(const Tensor& weight, std::optional<Tensor> scales) {
  constexpr const char* op = "pack_sparse";
  if (weight.dim() != 2) refuse(op, "weight", "a matrix", shape_text(weight));
  const SparseLayout layout{sparse_type(op, "weight", weight.scalar_type()), weight.size(0), weight.size(1)};
  const bool int8 = layout.type == SparseType::kInt8;
  if (int8 != scales.has_value()) refuse(op, "scales", int8 ? "given for int8" : "None for floats", "the other");
  if (scales) {
    require_dtype(op, "scales", *scales, ScalarType::Float);
    require_shape(op, "scales", *scales, {layout.rows}, "one value a row of weight");
    require_device_of(op, "scales", *scales, "weight", weight);
  }
  const Tensor values = dense(weight), steps = scales ? dense(*scales) : values;
  const SparseSource source{values.const_data_ptr(), scales ? steps.const_data_ptr<float>() : nullptr};
  TorchExecutor executor;
  const std::int64_t bytes = packed_sparse_bytes(source, layout, executor);
  const Tensor packed = torch::stable::new_empty(values, {bytes}, ScalarType::Byte);
  fairopt::pack_sparse(source, layout, packed.mutable_data_ptr<std::uint8_t>(), executor);
  return packed;
}

std::tuple<Tensor, Tensor> unpack_sparse(const Tensor& packed, ScalarType dtype, std::int64_t rows, std::int64_t cols) {
  const auto [weight, scales] = unpacked(packed, dtype, layout_of("unpack_sparse", packed, dtype, rows, cols));
  return {weight, scales};
}

Tensor sparse_linear(const Tensor& x, const Tensor& packed, std::optional<Tensor> bias, ScalarType dtype,
                     std::int64_t rows) {
  constexpr const char* op = "sparse_linear";
  require_dimension(op, "x", x);
  const bool fp64 = x.scalar_type() == ScalarType::Double && !x.is_cuda();
  const DType x_dtype = fp64 ? DType::kFloat32 : float_dtype(op, "x", x.scalar_type());
  require_device_of(op, "packed", packed, "x", x);
  Operands in{dense(x),         dense(packed),   {}, layout_of(op, packed, dtype, rows, x.size(-1)), dtype,
              leading_numel(x), leading_sizes(x)};
  in.y_sizes.push_back(rows);
  if (bias) {
    require_dtype(op, "bias", *bias, x.scalar_type());
    require_shape(op, "bias", *bias, {rows}, "one value a row of W");
    require_device_of(op, "bias", *bias, "x", x);
    in.bias = dense(*bias);
  }
  if (x.is_cuda()) return run_cuda(in, x_dtype);
  return fp64 ? run_dense(in) : run_cpu(op, in);
}

}  // namespace fairopt::ops
