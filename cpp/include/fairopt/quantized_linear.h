// y = x W^T + bias with W kept quantised: dequantisation is fused into the product.
#pragma once
#include <cstdint>

#include "fairopt/executor.h"
#include "fairopt/quantize.h"

namespace fairopt {

/// x [m, layout.cols] fp32, weight of `layout` ([n, k] = [layout.rows, layout.cols]), bias [n] or null -> y [m, n]
/// fp32. Mode `exact`: each weight is the fp32 value that dequantize() gives, products are accumulated in fp32 FMA in
/// an order that depends on k and block alone: y is the same bits whatever m, the row's position, and the number of
/// threads.
struct QuantizedLinearArgs {
  const float* x = nullptr;
  std::int64_t m = 0;
  QuantizedView weight;
  QuantizedLayout layout;
  const float* bias = nullptr;
  float* y = nullptr;
};
void quantized_linear(const QuantizedLinearArgs& args, Executor& executor = default_executor());

}  // namespace fairopt
