// y = x W^T + bias with int8 weights and activations that are rounded to int8 as they come (W8A8, LLM.int8).
#pragma once
#include <cstdint>

#include "fairopt/executor.h"

namespace fairopt {

/// x [m, k] fp32, codes [n, k] in [-127, 127], scales [n], bias [n] or null -> y [m, n] fp32.
///
/// A token (row of x) is rounded like a row of int8 weights: s = amax / 127, q = rint(x / s), so that with S the exact
/// int32 sum of codes * q, y = fl(scale * s) * float(S) + bias, each operation rounded in fp32. Values with |x| >=
/// `threshold` are left out of amax and of S; their products with the codes are summed in fp32 in the order of the
/// columns, and scale times that sum is added before the bias (LLM.int8, arXiv:2208.07339). A token with a value that
/// is not finite gives NaN. The same bits on every level, for every m, place of a token and number of threads.
/// Throws std::invalid_argument; k is at most 2^17, so that no sum overflows.
struct DynamicInt8LinearArgs {
  const float* x = nullptr;
  std::int64_t m = 0, n = 0, k = 0;
  const std::int8_t* codes = nullptr;
  const float* scales = nullptr;
  const float* bias = nullptr;
  float threshold = 0;  ///< positive; infinity: no outliers
  float* y = nullptr;
};
void dynamic_int8_linear(const DynamicInt8LinearArgs& args, Executor& executor = default_executor());

}  // namespace fairopt
