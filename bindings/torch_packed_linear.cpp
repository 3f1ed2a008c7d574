// pack_weight, unpack_weight and packed_linear: the layout in which a CPU keeps quantised weights while a model runs.
#include "fairopt/packed_linear.h"
#include "torch_ops.h"

namespace fairopt::ops {
namespace {

void require_cpu(const char* op, const char* argument, const Tensor& tensor) {
  if (tensor.is_cuda())
    refuse(op, argument, "on the CPU (packed weights are a layout of the CPU)", device_text(tensor));
}

/// The layout of a packed tensor, whose size must be that of the layout.
QuantizedLayout packed_layout(const char* op, const Tensor& packed, const std::string& format, std::int64_t block,
                              std::int64_t rows, std::int64_t cols) {
  if (rows < 0) refuse(op, "rows", "non-negative", std::to_string(rows));
  const QuantizedLayout layout{parse_format(format, op), rows, cols, block};
  check(layout, op);
  require_dtype(op, "packed", packed, ScalarType::Byte);
  require_shape(op, "packed", packed, {packed_bytes(layout)}, "for these rows and columns");
  return layout;
}

struct Lora {
  Tensor z, b;
  std::int64_t rank;
};

std::optional<Lora> lora_branch(const char* op, const Tensor& x, const std::optional<Tensor>& z,
                                const std::optional<Tensor>& b, std::int64_t rows) {
  if (!z && !b) return std::nullopt;
  if (!z || !b) refuse(op, z ? "lora_b" : "lora_z", "given together with the other", "None");
  require_dtype(op, "lora_z", *z, x.scalar_type());
  require_dtype(op, "lora_b", *b, x.scalar_type());
  require_device_of(op, "lora_z", *z, "x", x);
  require_device_of(op, "lora_b", *b, "x", x);
  require_dimension(op, "lora_z", *z);
  std::vector<std::int64_t> sizes = leading_sizes(x);
  sizes.push_back(z->size(-1));
  require_shape(op, "lora_z", *z, sizes, "[..., rank] like x");
  require_shape(op, "lora_b", *b, {rows, z->size(-1)}, "[rows, rank]");
  return Lora{*z, *b, z->size(-1)};
}

/// Double arithmetic on exactly dequantised weights, in every mode.
Tensor run_double(const Tensor& x, const Tensor& packed, const std::optional<Tensor>& bias, const std::string& format,
                  std::int64_t block, std::int64_t rows, const std::optional<Lora>& lora) {
  const auto [codes, scales, zeros] = unpack_weight(packed, format, block, rows, x.size(-1));
  const Tensor y = quantized_linear(x, codes, scales, zeros, bias, format, block);
  if (!lora) return y;
  double* out = y.mutable_data_ptr<double>();
  const Tensor lora_z = dense(lora->z), lora_b = dense(lora->b);
  const double *z = lora_z.const_data_ptr<double>(), *b = lora_b.const_data_ptr<double>();
  for (std::int64_t i = 0; i < leading_numel(x); ++i) {
    for (std::int64_t row = 0; row < rows; ++row) {
      for (std::int64_t r = 0; r < lora->rank; ++r) {
        out[i * rows + row] += z[i * lora->rank + r] * b[row * lora->rank + r];
      }
    }
  }
  return y;
}

/// fp32 inside, whatever the 16-bit type outside: one rounding at the end.
Tensor run(const char* op, const Tensor& x, const Tensor& packed, const std::optional<Tensor>& bias,
           const QuantizedLayout& layout, MatmulMode mode, const std::optional<Lora>& lora) {
  std::vector<std::int64_t> sizes = leading_sizes(x);
  sizes.push_back(layout.rows);
  const auto floats = [op](const char* argument, const Tensor& tensor) { return Floats(op, argument, tensor); };
  const Floats in = floats("x", x);
  const std::optional<Floats> offset = bias ? std::optional(floats("bias", *bias)) : std::nullopt;
  const std::optional<Floats> lora_z = lora ? std::optional(floats("lora_z", lora->z)) : std::nullopt;
  const std::optional<Floats> lora_b = lora ? std::optional(floats("lora_b", lora->b)) : std::nullopt;
  const FloatOutput y(op, x, sizes);
  TorchExecutor executor;
  packed_linear({.x = in.data(),
                 .m = leading_numel(x),
                 .packed = packed.const_data_ptr<std::uint8_t>(),
                 .layout = layout,
                 .mode = mode,
                 .bias = offset ? offset->data() : nullptr,
                 .lora_z = lora_z ? lora_z->data() : nullptr,
                 .lora_b = lora_b ? lora_b->data() : nullptr,
                 .lora_rank = lora ? lora->rank : 0,
                 .y = y.data()},
                executor);
  return y.round();
}

}  // namespace

Tensor pack_weight(const Tensor& codes, const Tensor& scales, const Tensor& zeros, std::string format,
                   std::int64_t block, std::int64_t cols) {
  constexpr const char* op = "pack_weight";
  if (codes.dim() != 2) refuse(op, "codes", "a matrix [n, bytes]", shape_text(codes));
  require_cpu(op, "codes", codes);
  const QuantizedTensors weight = quantized_tensors(op, codes, scales, zeros, format, block, cols);
  const Tensor packed = torch::stable::new_empty(weight.codes, {packed_bytes(weight.layout)});
  TorchExecutor executor;
  pack(weight.view(), weight.layout, packed.mutable_data_ptr<std::uint8_t>(), executor);
  return packed;
}

std::tuple<Tensor, Tensor, Tensor> unpack_weight(const Tensor& packed, std::string format, std::int64_t block,
                                                 std::int64_t rows, std::int64_t cols) {
  constexpr const char* op = "unpack_weight";
  require_cpu(op, "packed", packed);
  if (cols < 0) refuse(op, "cols", "non-negative", std::to_string(cols));
  const QuantizedLayout layout = packed_layout(op, packed, format, block, rows, cols);
  const QuantizedOutputs out(packed, layout);
  TorchExecutor executor;
  unpack(dense(packed).const_data_ptr<std::uint8_t>(), layout, out.buffers(), executor);
  return {out.codes, out.scales, out.zeros};
}

Tensor packed_linear(const Tensor& x, const Tensor& packed, std::optional<Tensor> bias, std::string format,
                     std::int64_t block, std::int64_t rows, std::string mode, std::optional<Tensor> lora_z,
                     std::optional<Tensor> lora_b) {
  constexpr const char* op = "packed_linear";
  require_dimension(op, "x", x);
  require_cpu(op, "x", x);
  const bool fp64 = x.scalar_type() == ScalarType::Double;
  if (!fp64) float_dtype(op, "x", x.scalar_type());
  require_device_of(op, "packed", packed, "x", x);
  const QuantizedLayout layout = packed_layout(op, packed, format, block, rows, x.size(-1));
  const MatmulMode parsed = parse_matmul_mode(mode, op);
  if (bias) {
    require_dtype(op, "bias", *bias, x.scalar_type());
    require_shape(op, "bias", *bias, {rows}, "one value a row of W");
    require_device_of(op, "bias", *bias, "x", x);
  }
  const std::optional<Lora> lora = lora_branch(op, x, lora_z, lora_b, rows);
  if (fp64) return run_double(x, packed, bias, format, block, rows, lora);
  return run(op, x, dense(packed), bias, layout, parsed, lora);
}

}  // namespace fairopt::ops
