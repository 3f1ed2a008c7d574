// The plain twin of quantized_linear: the dequantised weights of reference_quantize.h, products and sums in float64.
#pragma once
#include <vector>

#include "fairopt/quantized_linear.h"

namespace fairopt::kernels::reference {

struct LinearResult {
  std::vector<double> y;          ///< [m, n]
  std::vector<double> magnitude;  ///< [m, n], the sum of |weight| |x| and |bias|: what an error is measured against
};
LinearResult quantized_linear(const QuantizedLinearArgs& args);

}  // namespace fairopt::kernels::reference
