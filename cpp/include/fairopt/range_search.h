// Rounding to nearest in ranges that are shrunk where that pays: a few weights saturate, all others get finer steps.
#pragma once
#include <cstdint>

#include "fairopt/executor.h"
#include "fairopt/quantize.h"

namespace fairopt {

struct RangeSearchOptions {
  int grid = 80;      ///< ranges that are tried: those of the block times 1 - i / 100, i < grid; in [1, 100]
  double norm = 2.4;  ///< exponent of the errors, as in GPTQ's code; in [0.5, 8]
};

/// weight [rows, cols] -> codes, scales, zero points of the range of each block that minimises the sum of |q - w|^norm;
/// a range has to beat rounding to nearest by more than the rounding errors of the search, 2^-14 of its sum, to be
/// taken, so the result is never worse. The same bits on every instruction-set level and for any number of threads.
/// Every format; those whose scale follows from the largest magnitude have that shrunk. Throws std::invalid_argument.
void range_search(const float* weight, const QuantizedLayout& layout, const RangeSearchOptions& options,
                  const QuantizedBuffers& out, Executor& executor = default_executor());

}  // namespace fairopt
