// Codes of some rows of a matrix, written one value at a time by a solver that chooses them.
#pragma once
#include <cstdint>
#include <vector>

#include "fairopt/quantize.h"
#include "kernels/scalar_codec.h"

namespace fairopt::compress {

/// A quantised matrix that is being made.
struct CodesOutput {
  QuantizedLayout layout;
  QuantizedBuffers buffers;
};

class TileCodes {
 public:
  TileCodes(const CodesOutput& out, std::int64_t first, std::int64_t rows);

  /// Scales block `block` of a row by `n` values.
  void fit(std::int64_t row, std::int64_t block, const float* values, std::int64_t n);
  /// Scales every block by the values [rows, cols].
  void fit_all(const float* values);
  /// Stores the code nearest to x as value `at` of a row; returns what the code stands for.
  float round(std::int64_t row, std::int64_t at, float x);
  /// Stores scales, zero points, and the bits behind the last code of each row.
  void finish();

 private:
  kernels::Scaling& scaling(std::int64_t row, std::int64_t block) {
    return scalings_[static_cast<std::size_t>(row * blocks_ + block)];
  }
  std::uint8_t* codes(std::int64_t row) { return out_.buffers.codes + (first_ + row) * bytes_; }

  const CodesOutput& out_;
  std::int64_t first_, rows_, blocks_, bytes_;
  int bits_;
  std::vector<kernels::Scaling> scalings_;
};

}  // namespace fairopt::compress
