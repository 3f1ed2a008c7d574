// The plain twin of the quantise, dequantise and convert kernels: docs/formats.md in scalar C++, one value at a time.
// Tests compare every ISA level (and CUDA) with it bit for bit.
#pragma once
#include <cstdint>

#include "fairopt/format.h"
#include "kernels/cpu/table.h"

namespace fairopt::kernels::reference {

void quantize(Format format, const float* values, BlockRun run, RunParts out);
void quantize_in_range(Format format, const float* values, BlockRun run, const float* lows, const float* highs,
                       RunParts out);
void dequantize(Format format, ConstRunParts in, BlockRun run, float* values);

float from_f16(std::uint16_t bits);
float from_bf16(std::uint16_t bits);
std::uint16_t to_f16(float value);
std::uint16_t to_bf16(float value);

}  // namespace fairopt::kernels::reference
