// Double quantisation (Dettmers et al. 2023, QLoRA, section 3): the scales of a quantised weight stored in 8 bits.
#pragma once
#include <cstdint>

#include "fairopt/executor.h"

namespace fairopt {

/// bitsandbytes' signed dynamic map: 256 values, ascending; index = code.
const float* dynamic_map();

/// How many nested scales n scales have: one for every 256, the last of which may be fewer.
std::int64_t nested_blocks(std::int64_t n);

/// Where the parts of n double-quantised scales lie.
struct NestedBuffers {
  std::uint8_t* codes = nullptr;  ///< [n], indices of the signed dynamic map
  float* scales = nullptr;        ///< [nested_blocks(n)]
  float* offset = nullptr;        ///< [1]
};
struct NestedView {
  const std::uint8_t* codes = nullptr;
  const float* scales = nullptr;
  const float* offset = nullptr;
};

/// bitsandbytes' definition on n finite scales in row-major order: offset = their mean (summed in float64, rounded
/// once), a nested scale = max |scale - offset| of its block, a code = the nearest of the dynamic map to (scale -
/// offset) / nested scale, the lower one in a tie; the code of 0 where the nested scale is 0.
void double_quantize(const float* scales, std::int64_t n, const NestedBuffers& out,
                     Executor& executor = default_executor());

/// map[code] * nested scale + offset, two roundings.
void double_dequantize(const NestedView& in, std::int64_t n, float* scales, Executor& executor = default_executor());

}  // namespace fairopt
