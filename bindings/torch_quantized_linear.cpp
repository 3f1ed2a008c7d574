// quantized_linear: y = x W^T + bias, W [n, k] kept quantised.
#include <algorithm>
#include <array>
#include <stdexcept>

#include "fairopt/packed_linear.h"
#include "fairopt/quantized_linear.h"
#include "torch_ops.h"

namespace fairopt::ops {
namespace {

/// The operands after the door: dense; x is [m, k] with leading dimensions, bias has the dtype of x, y the sizes given.
struct Operands {
  Tensor x;
  std::int64_t m;
  QuantizedTensors weight;
  std::optional<Tensor> bias;
  std::vector<std::int64_t> y_sizes;
  MatmulMode mode;
};

/// fp32 inside, whatever the 16-bit type outside: one rounding at the end.
Tensor run_cpu(const char* op, const Operands& in) {
  const Floats x(op, "x", in.x);
  const std::optional<Floats> bias = in.bias ? std::optional(Floats(op, "bias", *in.bias)) : std::nullopt;
  const FloatOutput y(op, in.x, in.y_sizes);
  TorchExecutor executor;
  quantized_linear({.x = x.data(),
                    .m = in.m,
                    .weight = in.weight.view(),
                    .layout = in.weight.layout,
                    .bias = bias ? bias->data() : nullptr,
                    .y = y.data()},
                   executor);
  return y.round();
}

/// Double arithmetic on exactly dequantised weights: what gradcheck differentiates, and an oracle for the rest.
Tensor run_cpu_double(const Operands& in) {
  const QuantizedLayout& layout = in.weight.layout;
  const Tensor y = torch::stable::new_empty(in.x, in.y_sizes);
  const Tensor weight = torch::stable::new_empty(in.x, {layout.rows, layout.cols}, ScalarType::Float);
  TorchExecutor executor;
  dequantize(in.weight.view(), layout, weight.mutable_data_ptr(), DType::kFloat32, executor);
  const double* x = in.x.const_data_ptr<double>();
  const float* w = weight.const_data_ptr<float>();
  const double* bias = in.bias ? in.bias->const_data_ptr<double>() : nullptr;
  double* out = y.mutable_data_ptr<double>();
  executor.parallel_for(0, layout.rows, 1, [&](std::int64_t lo, std::int64_t hi) {
    for (std::int64_t row = lo; row < hi; ++row) {
      for (std::int64_t i = 0; i < in.m; ++i) {
        double sum = bias ? bias[row] : 0.0;
        for (std::int64_t k = 0; k < layout.cols; ++k) sum += x[i * layout.cols + k] * w[row * layout.cols + k];
        out[i * layout.rows + row] = sum;
      }
    }
  });
  return y;
}

/// torch's product with the dequantised weight, which lives as long as the call: for so many rows of x the matrix
/// units are the limit and not the memory.
Tensor run_cuda_dense(const Operands& in, DType dtype) {
  const QuantizedLayout& layout = in.weight.layout;
  const Tensor weight = torch::stable::new_empty(in.x, {layout.rows, layout.cols});
  cuda::dequantize(in.weight.view(), layout, weight.mutable_data_ptr(), dtype, current_stream(in.x));
  std::array<StableIValue, 3> stack{torch::stable::detail::from(in.x), torch::stable::detail::from(weight),
                                    torch::stable::detail::from(in.bias)};
  if (torch_call_dispatcher("aten::linear", "", stack.data(), TORCH_ABI_VERSION) != 0) {
    throw std::runtime_error(
        "quantized_linear: torch's linear must take the dequantised weight, got an error of its own");
  }
  return torch::stable::detail::to<Tensor>(stack[0]);
}

Tensor run_cuda(const Operands& in, DType dtype) {
  cuda::QuantizedLinearArgs args{.x = in.x.const_data_ptr(),
                                 .dtype = dtype,
                                 .m = in.m,
                                 .weight = in.weight.view(),
                                 .layout = in.weight.layout,
                                 .bias = in.bias ? in.bias->const_data_ptr() : nullptr};
  const bool exact = in.mode == MatmulMode::kExact;
  if (exact && !cuda::has_fused_kernel(args)) return run_cuda_dense(in, dtype);
  const Tensor y = torch::stable::new_empty(in.x, in.y_sizes);
  args.y = y.mutable_data_ptr();
  const auto bytes = static_cast<std::int64_t>(exact ? cuda::quantized_linear_bytes(args)
                                                     : cuda::planes_bytes(in.weight.layout, in.m));
  const Tensor workspace = bytes == 0 ? y : torch::stable::new_empty(in.x, {bytes}, ScalarType::Byte);
  if (exact) {
    args.workspace = workspace.mutable_data_ptr();
    cuda::quantized_linear(args, current_stream(in.x));
  } else {
    const int planes = in.mode == MatmulMode::kA8 ? 1 : in.mode == MatmulMode::kA16 ? 2 : 3;
    cuda::planes_linear(args, planes, workspace.mutable_data_ptr(), current_stream(in.x));
  }
  return y;
}

void check_bias(const char* op, const Tensor& bias, const Tensor& x, std::int64_t rows) {
  if (bias.scalar_type() != x.scalar_type()) {
    refuse(op, "bias", dtype_text(x.scalar_type()) + " like x", dtype_text(bias.scalar_type()));
  }
  if (bias.dim() != 1 || bias.size(0) != rows) {
    refuse(op, "bias", "[" + std::to_string(rows) + "], one value a row of codes", shape_text(bias));
  }
  require_device_of(op, "bias", bias, "x", x);
}

/// On the CPU the integer modes belong to the packed layout; CUDA has them for codes of 4 and 8 bits.
MatmulMode checked_mode(const char* op, const std::string& mode, const Tensor& x, Format format) {
  const MatmulMode parsed = parse_matmul_mode(mode, op);
  const bool planes = x.is_cuda() && (code_bits(format) == 4 || code_bits(format) == 8);
  std::vector<MatmulMode> known{MatmulMode::kExact};
  for (const MatmulMode other : matmul_modes(format)) {
    if (planes && other != MatmulMode::kExact && other != MatmulMode::kI16) known.push_back(other);
  }
  if (std::find(known.begin(), known.end(), parsed) == known.end()) {
    std::string names;
    for (const MatmulMode one : known) {
      if (!names.empty()) names += ", ";
      names += name(one);
    }
    refuse(op, "mode", "one of " + names + " for this format and device", mode);
  }
  return parsed;
}

}  // namespace

Tensor quantized_linear(const Tensor& x, const Tensor& codes, const Tensor& scales, const Tensor& zeros,
                        std::optional<Tensor> bias, std::string format, std::int64_t block, std::string mode) {
  constexpr const char* op = "quantized_linear";
  require_dimension(op, "x", x);
  const bool fp64 = x.scalar_type() == ScalarType::Double && !x.is_cuda();
  const DType dtype = fp64 ? DType::kFloat32 : float_dtype(op, "x", x.scalar_type());
  if (codes.dim() != 2) refuse(op, "codes", "a matrix [n, bytes]", shape_text(codes));
  require_device_of(op, "codes", codes, "x", x);
  const QuantizedTensors weight = quantized_tensors(op, codes, scales, zeros, format, block, x.size(-1));
  if (bias) check_bias(op, *bias, x, weight.layout.rows);

  Operands in{dense(x), leading_numel(x), weight,
              {},       leading_sizes(x), checked_mode(op, mode, x, weight.layout.format)};
  in.y_sizes.push_back(weight.layout.rows);
  if (bias) in.bias = dense(*bias);
  if (x.is_cuda()) return run_cuda(in, dtype);
  return fp64 ? run_cpu_double(in) : run_cpu(op, in);
}

}  // namespace fairopt::ops
