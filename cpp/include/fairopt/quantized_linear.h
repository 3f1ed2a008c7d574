// y = x W^T + bias with W kept quantised: dequantisation is fused into the product.
#pragma once
#include <cstdint>

#include "fairopt/executor.h"
#include "fairopt/quantize.h"

namespace fairopt {

/// x [m, layout.cols] fp32, weight of `layout` ([n, k] = [layout.rows, layout.cols]), bias [n] or null -> y [m, n]
/// fp32. Mode `exact`: each weight is the fp32 value that dequantize() gives; products are summed in fp32 (fused where
/// the level has FMA) in an order that depends on k, block and level alone, so y is the same bits whatever m, the place
/// of a row and the number of threads. |y - exact| <= gamma * (sum |w| |x| + |bias|), gamma ~ (k / lanes + 14) 2^-24.
/// With k = 0 y is the bias. Nothing may overlap y. Throws std::invalid_argument.
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
