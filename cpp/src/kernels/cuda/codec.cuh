// The formats in device code: how a block gets its scale, a value its code, a code its value. The arithmetic is that of
// the CPU kernels operation by operation (round-to-nearest intrinsics, no contraction), so codes are the same bits.
#pragma once
#include <cstdint>

#include "fairopt/format.h"
#include "kernels/cuda/device.cuh"
#include "kernels/formats.h"

namespace fairopt::cuda {

/// A table of formats.h in constant memory: device code cannot index a host constexpr array at run time.
template <class T, int kSize>
struct Table {
  T entries[kSize];
  __device__ T operator[](int i) const { return entries[i]; }
};
template <class T, int kSize>
constexpr Table<T, kSize> copy_table(const T (&host)[kSize]) {
  Table<T, kSize> table{};
  for (int i = 0; i < kSize; ++i) table.entries[i] = host[i];
  return table;
}
static __constant__ const Table<float, 16> kNf4 = copy_table(formats::kNf4);
static __constant__ const Table<float, 16> kFp4 = copy_table(formats::kFp4);
static __constant__ const Table<float, 15> kNf4Thresholds = copy_table(formats::kNf4Thresholds);
static __constant__ const Table<float, 7> kFp4Thresholds = copy_table(formats::kFp4Thresholds);
static __constant__ const Table<std::int32_t, 8> kFp4CodeOfRank = copy_table(formats::kFp4CodeOfRank);

/// All that a scale and a zero point are made from.
struct Range {
  float high = 0.0f;  ///< largest value of the block, at least 0
  float low = 0.0f;   ///< smallest value, at most 0

  __device__ void widen(float x) {
    high = fmaxf(high, x);
    low = fminf(low, x);
  }
  __device__ Range over_warp() const {
    Range r = *this;
    for (int step = kWarp / 2; step > 0; step /= 2) {
      r.high = fmaxf(r.high, __shfl_xor_sync(kAllLanes, r.high, step));
      r.low = fminf(r.low, __shfl_xor_sync(kAllLanes, r.low, step));
    }
    return r;
  }
  __device__ float largest_magnitude() const { return fabsf(fmaxf(high, -low)); }
};

struct BlockParameters {
  float scale;
  int zero;
  /// A block of zeros has scale 0; dividing by 1 then gives the codes of zero.
  __device__ float steps(float x) const { return __fdiv_rn(x, scale > 0.0f ? scale : 1.0f); }
};

__device__ inline int round_clamped(float x, float low, float high) {
  return __float2int_rn(fminf(fmaxf(x, low), high));
}

/// How many thresholds x is strictly greater than.
template <int kSize>
__device__ int rank(const Table<float, kSize>& thresholds, float x) {
  int greater_than = 0;
  for (int i = 0; i < kSize; ++i) greater_than += x > thresholds[i];
  return greater_than;
}

/// parameters(range): from the values of a block. code(x, parameters). value(code, zero): the multiple of the scale.
template <Format kFormat>
struct Codec;

template <>
struct Codec<Format::kInt8> {
  static constexpr int kBits = 8;
  static constexpr bool kHasCodebook = false;
  static __device__ BlockParameters parameters(Range r) {
    return {__fdiv_rn(r.largest_magnitude(), formats::kInt8Max), 0};
  }
  static __device__ int code(float x, BlockParameters p) {
    return round_clamped(p.steps(x), -formats::kInt8Max, formats::kInt8Max);
  }
  static __device__ float value(int code, int) { return static_cast<float>(static_cast<std::int8_t>(code)); }
};

template <>
struct Codec<Format::kInt4Sym> {
  static constexpr int kBits = 4;
  static constexpr bool kHasCodebook = false;
  static __device__ BlockParameters parameters(Range r) {
    return {__fdiv_rn(r.largest_magnitude(), formats::kInt4SymDivisor), 0};
  }
  static __device__ int code(float x, BlockParameters p) {
    return round_clamped(p.steps(x), -8.0f, 7.0f) + formats::kInt4SymOffset;
  }
  static __device__ float value(int code, int) { return static_cast<float>(code - formats::kInt4SymOffset); }
};

template <>
struct Codec<Format::kInt4Asym> {
  static constexpr int kBits = 4;
  static constexpr bool kHasCodebook = false;
  static __device__ BlockParameters parameters(Range r) {
    // Halves, so that the width of the range cannot overflow; the bits are those of (max - min) / 15.
    const float half_width = __fadd_rn(__fmul_rn(0.5f, r.high), __fmul_rn(-0.5f, r.low));
    BlockParameters p{__fdiv_rn(half_width, 0.5f * formats::kInt4AsymLevels), 0};
    p.zero = round_clamped(p.steps(-r.low), 0.0f, formats::kInt4AsymLevels);
    return p;
  }
  static __device__ int code(float x, BlockParameters p) {
    const float zero = static_cast<float>(p.zero);
    return round_clamped(p.steps(x), -zero, formats::kInt4AsymLevels - zero) + p.zero;
  }
  static __device__ float value(int code, int zero) { return static_cast<float>(code - zero); }
};

template <>
struct Codec<Format::kNf4> {
  static constexpr int kBits = 4;
  static constexpr bool kHasCodebook = true;
  static __device__ BlockParameters parameters(Range r) { return {r.largest_magnitude(), 0}; }
  static __device__ int code(float x, BlockParameters p) { return rank(kNf4Thresholds, p.steps(x)); }
  static __device__ float value(int code, int) { return kNf4[code]; }
};

template <>
struct Codec<Format::kFp4> {
  static constexpr int kBits = 4;
  static constexpr bool kHasCodebook = true;
  static __device__ BlockParameters parameters(Range r) { return {r.largest_magnitude(), 0}; }
  static __device__ int code(float x, BlockParameters p) {
    const int magnitude = kFp4CodeOfRank[rank(kFp4Thresholds, fabsf(p.steps(x)))];
    return magnitude | (signbit(x) ? formats::kFp4SignBit : 0);
  }
  static __device__ float value(int code, int) { return kFp4[code]; }
};

/// Scale and zero point of the block that column `col` of `row` lies in.
template <Format kFormat>
__device__ BlockParameters block_at(const QuantizedView& weight, const Shape& s, std::int64_t row, std::int64_t col) {
  // 32-bit: a 64-bit division costs as much as the sixteen products that a block has at least.
  const std::int64_t block = row * s.blocks_per_row + static_cast<unsigned>(col) / static_cast<unsigned>(s.block);
  return {weight.scales[block], kFormat == Format::kInt4Asym ? weight.zeros[block] : 0};
}

/// The code of column `col`, from the codes of its row.
template <int kBits>
__device__ int code_at(const std::uint8_t* row, std::int64_t col) {
  if constexpr (kBits == 8) {
    return row[col];
  } else {
    return col % 2 == 0 ? row[col / 2] >> formats::kHighNibbleShift : row[col / 2] & 0xf;
  }
}

/// Calls f.operator()<format>(): the one switch from a run-time format to compiled kernels.
template <class F>
void for_format(Format format, const F& f) {
  switch (format) {
    case Format::kInt8:
      return f.template operator()<Format::kInt8>();
    case Format::kInt4Sym:
      return f.template operator()<Format::kInt4Sym>();
    case Format::kInt4Asym:
      return f.template operator()<Format::kInt4Asym>();
    case Format::kNf4:
      return f.template operator()<Format::kNf4>();
    case Format::kFp4:
      return f.template operator()<Format::kFp4>();
    default:  // has_kernels() has said so before
      return;
  }
}

/// Launchers refuse wider rows: columns are counted in 32 bits where they are divided.
constexpr std::int64_t kMaxCols = 0x7fffffff;

}  // namespace fairopt::cuda
