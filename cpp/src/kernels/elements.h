// Dense buffers of any DType, seen as fp32 a run at a time. Private to the doors (quantize.cpp, prune_mask.cpp, ...).
#pragma once
#include <cstdint>

#include "fairopt/format.h"

namespace fairopt::kernels {

/// Values a run may have: what a door keeps on its stack (16 KiB), so a kernel finds it in the first cache.
inline constexpr std::int64_t kMaxRun = 4096;

/// values[offset, offset + n) as fp32: in place for fp32, else widened into `buffer`. n <= kMaxRun.
const float* as_floats(const void* values, DType dtype, std::int64_t offset, std::int64_t n, float* buffer);

/// Rounds n fp32 values to values[offset, offset + n) of a 16-bit dtype, half to even.
void store_rounded(const float* in, std::int64_t n, void* values, DType dtype, std::int64_t offset);

}  // namespace fairopt::kernels
