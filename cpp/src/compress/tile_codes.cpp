#include "compress/tile_codes.h"

#include <algorithm>

namespace fairopt::compress {

TileCodes::TileCodes(const CodesOutput& out, std::int64_t first, std::int64_t rows)
    : out_(out),
      first_(first),
      rows_(rows),
      blocks_(out.layout.blocks_per_row()),
      bytes_(out.layout.bytes_per_row()),
      bits_(code_bits(out.layout.format)),
      scalings_(static_cast<std::size_t>(rows * blocks_)) {}

void TileCodes::fit(std::int64_t row, std::int64_t block, const float* values, std::int64_t n) {
  scaling(row, block) = kernels::fit(out_.layout.format, values, n);
}

void TileCodes::fit_all(const float* values) {
  const std::int64_t cols = out_.layout.cols, block = out_.layout.block;
  for (std::int64_t row = 0; row < rows_; ++row) {
    for (std::int64_t b = 0; b < blocks_; ++b) {
      fit(row, b, values + row * cols + b * block, std::min(block, cols - b * block));
    }
  }
}

float TileCodes::round(std::int64_t row, std::int64_t at, float x) {
  const kernels::Scaling& scale = scaling(row, at / out_.layout.block);
  const int code = kernels::encode(out_.layout.format, x, scale);
  kernels::write_code(codes(row), bytes_, bits_, at, code);
  return kernels::decode(out_.layout.format, code, scale);
}

void TileCodes::finish() {
  const ZeroPoint kind = zero_point(out_.layout.format);
  for (std::int64_t row = 0; row < rows_; ++row) {
    for (std::int64_t b = 0; b < blocks_; ++b) {
      const kernels::Scaling& scale = scaling(row, b);
      const std::int64_t at = (first_ + row) * blocks_ + b;
      out_.buffers.scales[at] = scale.scale;
      if (kind == ZeroPoint::kInteger) out_.buffers.zeros[at] = static_cast<std::uint8_t>(scale.zero);
      if (kind == ZeroPoint::kFloat) out_.buffers.float_zeros[at] = scale.float_zero;
    }
    const int zero = kernels::encode(out_.layout.format, 0.0f, scaling(row, blocks_ - 1));
    for (std::int64_t i = out_.layout.cols; i * bits_ < 8 * bytes_; ++i) {
      kernels::write_code(codes(row), bytes_, bits_, i, zero);
    }
  }
}

}  // namespace fairopt::compress
