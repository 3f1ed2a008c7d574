// Blockwise quantisation of a matrix: blocks run along the columns of each row, the last block of a row may be short.
#pragma once
#include <cstdint>

#include "fairopt/executor.h"
#include "fairopt/format.h"

namespace fairopt {

/// Shape and format of a quantised matrix [rows, cols]. A flat buffer of n values is rows = 1, cols = n.
struct QuantizedLayout {
  Format format = Format::kNf4;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::int64_t block = 64;  ///< values a scale, a multiple of 16 in [16, 4096]

  std::int64_t blocks_per_row() const;
  /// Bytes of codes a row: cols for 8 bits; ceil(cols / 2) for 4 bits, the *first* value in the high nibble, an odd
  /// tail padded with the code of zero.
  std::int64_t bytes_per_row() const;
};

/// Where the parts of a quantised matrix lie, all row-major and dense. `zeros` is null for formats without zero points.
struct QuantizedBuffers {
  std::uint8_t* codes = nullptr;  ///< [rows, bytes_per_row]; int8 codes as two's complement
  float* scales = nullptr;        ///< [rows, blocks_per_row]
  std::uint8_t* zeros = nullptr;  ///< [rows, blocks_per_row]
};
struct QuantizedView {
  const std::uint8_t* codes = nullptr;
  const float* scales = nullptr;
  const std::uint8_t* zeros = nullptr;
};

/// Throws std::invalid_argument `<op>: block must be ...` when the layout cannot be.
void check(const QuantizedLayout& layout, const char* op);

/// source [rows, cols] of `dtype` -> codes, scales, zeros. Computed in fp32. Definitions: docs/formats.md.
/// An all-zero block stores scale 0. Non-finite input is the caller's to refuse (see count_nonfinite).
void quantize(const void* source, DType dtype, const QuantizedLayout& layout, const QuantizedBuffers& out,
              Executor& executor = default_executor());

/// codes, scales, zeros -> target [rows, cols] of `dtype`; the fp32 value, rounded once to dtype.
void dequantize(const QuantizedView& in, const QuantizedLayout& layout, void* target, DType dtype,
                Executor& executor = default_executor());

/// How many of n values are NaN or infinite.
std::int64_t count_nonfinite(const void* source, DType dtype, std::int64_t n, Executor& executor = default_executor());

}  // namespace fairopt
