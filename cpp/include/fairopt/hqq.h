// HQQ (Badri and Shaji 2023, "Half-Quadratic Quantization of Large Machine Learning Models"): float zero points that
// minimise a robust norm of the weight error. Needs no data.
#pragma once
#include <cstdint>

#include "fairopt/executor.h"
#include "fairopt/quantize.h"

namespace fairopt {

struct HqqOptions {
  double norm = 0.7;    ///< exponent p of the errors, in (0, 1]
  double beta = 10.0;   ///< of the first shrinking step: errors below about 1 / beta^(1 / (2 - p)) count as none; > 0
  double kappa = 1.01;  ///< what beta grows by in each iteration; >= 1
  int iterations = 20;  ///< at most, in [1, 1000]
  bool best = true;  ///< keep the best zero point of each block; false: that of the last iteration, as the authors do
};

/// weight [rows, cols] -> codes, scales, zero points of a format int*_asym_float.
///
/// With s the inverse scale and z the zero point in steps, from the range of each block (z rounded at 4 bits, like the
/// authors' configuration), each iteration takes q = clip(round(w s + z)), the error d = w - (q - z) / s, its shrunk
/// part e = sign(d) max(|d| - |d|^(p - 1) / beta, 0) and z = mean(q - (w - e) s), until the mean |d| over the whole
/// matrix stops falling. Everything is fp32, where the authors' code is fp16 on a GPU. With `best`, a block keeps the
/// visited z of least sum |d|^p, or rounding to nearest in the same format if that is better: never worse than it.
/// The same bits on every instruction-set level and for any number of threads.
///
/// @return iterations that ran.
/// @throws std::invalid_argument.
int hqq(const float* weight, const QuantizedLayout& layout, const HqqOptions& options, const QuantizedBuffers& out,
        Executor& executor = default_executor());

}  // namespace fairopt
