#include "kernels/reference_quantized_linear.h"

#include <cmath>

#include "kernels/reference_quantize.h"

namespace fairopt::kernels::reference {

LinearResult quantized_linear(const QuantizedLinearArgs& args) {
  const QuantizedLayout& layout = args.layout;
  const std::int64_t n = layout.rows, k = layout.cols, blocks = layout.blocks_per_row();
  const auto size = static_cast<std::size_t>(args.m * n);
  LinearResult result{std::vector<double>(size), std::vector<double>(size)};
  std::vector<float> weights(static_cast<std::size_t>(k));
  for (std::int64_t row = 0; row < n; ++row) {
    const ZeroPoint zero = zero_point(layout.format);
    const ConstRunParts parts{args.weight.codes + row * layout.bytes_per_row(), args.weight.scales + row * blocks,
                              zero == ZeroPoint::kInteger ? args.weight.zeros + row * blocks : nullptr,
                              zero == ZeroPoint::kFloat ? args.weight.float_zeros + row * blocks : nullptr};
    dequantize(layout.format, parts, {k, layout.block}, weights.data());
    for (std::int64_t token = 0; token < args.m; ++token) {
      double sum = 0.0, magnitude = 0.0;
      for (std::int64_t i = 0; i < k; ++i) {
        const double product = static_cast<double>(weights[static_cast<std::size_t>(i)]) * args.x[token * k + i];
        sum += product;
        magnitude += std::fabs(product);
      }
      const double bias = args.bias == nullptr ? 0.0 : args.bias[row];
      const auto at = static_cast<std::size_t>(token * n + row);
      result.y[at] = sum + bias;
      result.magnitude[at] = magnitude + std::fabs(bias);
    }
  }
  return result;
}

}  // namespace fairopt::kernels::reference
