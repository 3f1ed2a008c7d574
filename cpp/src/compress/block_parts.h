// The parts of one block of a quantised matrix, for the solvers that choose codes block by block.
#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "fairopt/quantize.h"
#include "kernels/cpu/table.h"

namespace fairopt::compress {

/// Where block `index` (counted through the rows) lies: its values, and its parts in `out`.
struct BlockParts {
  std::int64_t value, n;
  kernels::RunParts parts;
};

inline BlockParts block_parts(const QuantizedLayout& layout, const QuantizedBuffers& out, std::int64_t index) {
  const std::int64_t per_row = layout.blocks_per_row(), row = index / per_row;
  const std::int64_t column = index % per_row * layout.block;
  std::uint8_t* codes = out.codes + row * layout.bytes_per_row() + column * code_bits(layout.format) / 8;
  return {row * layout.cols + column,
          std::min(layout.block, layout.cols - column),
          {codes, out.scales + index, out.zeros == nullptr ? nullptr : out.zeros + index,
           out.float_zeros == nullptr ? nullptr : out.float_zeros + index}};
}

/// A block that is tried: codes and what they stand for.
class Trial {
 public:
  Trial(Format format, std::int64_t longest)
      : format_(static_cast<std::size_t>(format)), codes_(static_cast<std::size_t>(longest)), values_(codes_.size()) {}

  kernels::RunParts parts() { return {codes_.data(), &scale_, &zero_, &float_zero_}; }

  /// The n values of what was written to parts().
  const float* values(std::int64_t n) { return values_of(parts(), n); }
  /// The same of what lies elsewhere.
  const float* values_of(const kernels::RunParts& in, std::int64_t n) {
    kernels::table().dequantize[format_]({in.codes, in.scales, in.zeros, in.float_zeros}, {n, n}, values_.data());
    return values_.data();
  }

 private:
  std::size_t format_;
  std::vector<std::uint8_t> codes_;
  std::vector<float> values_;
  float scale_ = 0.0f, float_zero_ = 0.0f;
  std::uint8_t zero_ = 0;
};

}  // namespace fairopt::compress
