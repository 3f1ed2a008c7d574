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
  std::int64_t block = 64;  ///< values a scale, a multiple of 16 up to 2^30; from cols on, a row is one block

  std::int64_t blocks_per_row() const;
  /// Bytes of codes a row, ceil(cols * bits / 8): a bit string, the *first* value in the high bits of the first byte,
  /// the bits after the last value being those of codes of zero.
  std::int64_t bytes_per_row() const;
};

/// Where the parts of a quantised matrix lie, all row-major and dense. Of the zero points the kind that the format has
/// is used (zero_point); the other may be null.
struct QuantizedBuffers {
  std::uint8_t* codes = nullptr;  ///< [rows, bytes_per_row]; int8 codes as two's complement
  float* scales = nullptr;        ///< [rows, blocks_per_row]
  std::uint8_t* zeros = nullptr;  ///< [rows, blocks_per_row]
  float* float_zeros = nullptr;   ///< [rows, blocks_per_row]
};
struct QuantizedView {
  const std::uint8_t* codes = nullptr;
  const float* scales = nullptr;
  const std::uint8_t* zeros = nullptr;
  const float* float_zeros = nullptr;
};

/// Throws std::invalid_argument `<op>: block must be ...` when the layout cannot be.
void check(const QuantizedLayout& layout, const char* op);
/// Throws std::invalid_argument `<op>: <argument>.codes must not be null` when a part that the format has is missing.
void check(const QuantizedView& view, Format format, const char* op, const char* argument);

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
