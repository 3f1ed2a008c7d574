// fp32 from and to the other floating-point types of dense buffers.
#pragma once
#include <cstdint>

#include "fairopt/executor.h"
#include "fairopt/format.h"

namespace fairopt {

/// n values of `dtype` -> the same values in fp32, exactly. Throws std::invalid_argument.
void to_float32(const void* source, DType dtype, std::int64_t n, float* target,
                Executor& executor = default_executor());

/// n values of fp32 -> `dtype`, half to even. Throws std::invalid_argument.
void from_float32(const float* source, std::int64_t n, void* target, DType dtype,
                  Executor& executor = default_executor());

}  // namespace fairopt
