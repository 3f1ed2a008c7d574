// What the tests of the emulated kernels share: buffers of any element type without a byte to spare, equality of bits,
// both orders of threads.
#pragma once
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "catch.h"
#include "fairopt/cuda.h"
#include "fairopt/format.h"
#include "kernels/reference_quantize.h"
#include "matrices.h"

extern "C" void cuda_emulation_set_order(bool descending);
extern "C" void cuda_emulation_set_shared_bytes(std::size_t most);

namespace emulated {

using namespace fairopt;

inline constexpr DType kTypes[] = {DType::kFloat32, DType::kFloat16, DType::kBFloat16};
inline constexpr DType kHalfTypes[] = {DType::kFloat16, DType::kBFloat16};

/// body() with the threads of a block, and the blocks of a grid, in ascending and in descending order.
template <class Body>
void in_both_orders(const Body& body) {
  for (const bool descending : {false, true}) {
    CAPTURE(descending);
    cuda_emulation_set_order(descending);
    body();
  }
}

/// Values as they are in a dense buffer of `dtype`. On 16 bytes, as malloc gives them.
class Dense {
 public:
  /// Rubbish, to be written.
  Dense(DType dtype, std::int64_t n)
      : dtype_(dtype), bytes_(static_cast<std::size_t>(n) * (dtype == DType::kFloat32 ? 4 : 2), 0xff) {}
  Dense(DType dtype, const std::vector<float>& from) : Dense(dtype, static_cast<std::int64_t>(from.size())) {
    for (std::size_t i = 0; i < from.size(); ++i) {
      if (dtype == DType::kFloat32) {
        std::memcpy(&bytes_[4 * i], &from[i], 4);
      } else {
        const std::uint16_t bits =
            dtype == DType::kFloat16 ? kernels::reference::to_f16(from[i]) : kernels::reference::to_bf16(from[i]);
        std::memcpy(&bytes_[2 * i], &bits, 2);
      }
    }
  }

  DType dtype() const { return dtype_; }
  const void* data() const { return bytes_.data(); }
  void* data() { return bytes_.data(); }
  const std::vector<std::uint8_t>& bytes() const { return bytes_; }
  std::vector<float> values() const {
    std::vector<float> result(bytes_.size() / (dtype_ == DType::kFloat32 ? 4 : 2));
    for (std::size_t i = 0; i < result.size(); ++i) {
      std::uint16_t bits = 0;
      if (dtype_ == DType::kFloat32) {
        std::memcpy(&result[i], &bytes_[4 * i], 4);
      } else {
        std::memcpy(&bits, &bytes_[2 * i], 2);
        result[i] =
            dtype_ == DType::kFloat16 ? kernels::reference::from_f16(bits) : kernels::reference::from_bf16(bits);
      }
    }
    return result;
  }

 private:
  DType dtype_;
  std::vector<std::uint8_t> bytes_;
};

/// Half the distance of 1 to the next number.
inline double half_ulp(DType dtype) {
  return dtype == DType::kFloat32 ? 0x1p-24 : dtype == DType::kFloat16 ? 0x1p-11 : 0x1p-8;
}

/// About N(0, 1), with outliers and both zeros.
inline std::vector<float> activations(std::int64_t n, std::uint64_t seed) {
  std::vector<float> values = weights(n, seed);
  for (float& value : values) value *= 50.0f;
  return values;
}

/// Whether all are the same bits, or both NaN.
inline bool same(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (std::isnan(a[i]) && std::isnan(b[i])) continue;
    if (std::bit_cast<std::uint32_t>(a[i]) != std::bit_cast<std::uint32_t>(b[i])) return false;
  }
  return true;
}

template <class Buffer>
auto null_if_empty(Buffer& buffer) {
  return buffer.empty() ? nullptr : buffer.data();
}

/// A weight in rows, its buffers as large as they must be.
struct QuantizedWeight {
  QuantizedLayout layout;
  std::vector<std::uint8_t> codes, zeros;
  std::vector<float> scales, float_zeros;

  /// Rubbish, to be written.
  explicit QuantizedWeight(QuantizedLayout l) : layout(l) {
    const auto blocks = static_cast<std::size_t>(l.rows * l.blocks_per_row());
    codes.assign(static_cast<std::size_t>(l.rows * l.bytes_per_row()), 0xcc);
    scales.assign(blocks, std::nanf(""));
    if (zero_point(l.format) == ZeroPoint::kInteger) zeros.assign(blocks, 0xcc);
    if (zero_point(l.format) == ZeroPoint::kFloat) float_zeros.assign(blocks, std::nanf(""));
  }
  QuantizedWeight(QuantizedLayout l, std::uint64_t seed) : QuantizedWeight(l) {
    const std::vector<float> values = weights(l.rows * l.cols, seed);
    quantize(values.data(), DType::kFloat32, layout, buffers());
  }
  QuantizedBuffers buffers() { return {codes.data(), scales.data(), null_if_empty(zeros), null_if_empty(float_zeros)}; }
  QuantizedView view() const { return {codes.data(), scales.data(), null_if_empty(zeros), null_if_empty(float_zeros)}; }
  std::vector<float> dense() const {
    std::vector<float> values(static_cast<std::size_t>(layout.rows * layout.cols));
    dequantize(view(), layout, values.data(), DType::kFloat32);
    return values;
  }
};

}  // namespace emulated
