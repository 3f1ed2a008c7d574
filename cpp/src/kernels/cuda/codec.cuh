// The formats in device code: how a block gets its scale and zero point, a value its code, a code its value. The
// arithmetic is that of the CPU kernels operation by operation (round-to-nearest intrinsics, no contraction), so the
// results are the same bits. A format arrives at run time as a Codec: its branches go one way for a whole launch.
#pragma once
#include <cstdint>

#include "fairopt/format.h"
#include "kernels/cuda/device.cuh"
#include "kernels/formats.h"

namespace fairopt::cuda {

using formats::Rule;

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

struct Range {
  float low, high;

  __device__ void widen(float x) {
    low = fminf(low, x);
    high = fmaxf(high, x);
  }
  __device__ Range over_warp() const {
    Range r = *this;
    for (int step = kWarp / 2; step > 0; step /= 2) {
      r.low = fminf(r.low, __shfl_xor_sync(kAllLanes, r.low, step));
      r.high = fmaxf(r.high, __shfl_xor_sync(kAllLanes, r.high, step));
    }
    return {__fadd_rn(r.low, 0.0f), __fadd_rn(r.high, 0.0f)};  // -0 becomes 0
  }
  __device__ float amax() const { return fmaxf(fabsf(low), fabsf(high)); }
  __device__ float depth() const { return __fsub_rn(0.0f, low); }  // never -0
  __device__ Range with_zero() const { return {fminf(low, 0.0f), fmaxf(high, 0.0f)}; }
  /// Halves, so that the width cannot overflow.
  __device__ float step(float levels) const {
    return __fdiv_rn(__fsub_rn(__fmul_rn(0.5f, high), __fmul_rn(0.5f, low)), __fmul_rn(0.5f, levels));
  }
};

/// What a block is scaled by; of the zero points the one that the format has.
struct Scaling {
  float scale = 0.0f;
  int zero = 0;
  float float_zero = 0.0f;

  /// x / scale. A block of zeros has scale 0; dividing by 1 then gives the codes of zero.
  __device__ float steps(float x) const { return __fdiv_rn(x, scale != 0.0f ? scale : 1.0f); }
};

/// How many thresholds x is strictly greater than.
template <int kSize>
__device__ int rank(const Table<float, kSize>& thresholds, float x) {
  int greater_than = 0;
  for (int i = 0; i < kSize; ++i) greater_than += x > thresholds[i];
  return greater_than;
}

/// The magnitude of an e4m3fn code: as fp16 it is the same number times 2^-8, but for NaN.
__device__ inline float e4m3_magnitude(int code) {
  if (code == formats::kFp8Nan) return __int_as_float(0x7fffffff);
  return 256.0f * __half2float(__ushort_as_half(static_cast<unsigned short>(code << 7)));
}

/// The nearest finite e4m3fn magnitude, ties to the even code.
__device__ inline int e4m3_code(float magnitude) {
  const float normal = fmaxf(magnitude, 0x1p-6f);
  const int exponent = (__float_as_int(normal) >> 23) - 127;  // of the binade, whose step is 2^(exponent - 3)
  const float steps = __fmul_rn(magnitude, __int_as_float((127 + 3 - exponent) << 23));  // exact
  const int code = 8 * (exponent + 6) + __float2int_rn(steps);  // the carry runs into the exponent by itself
  return min(code, formats::kFp8Nan - 1);
}

struct Codec {
  Rule rule;
  int bits;
  int offset;  ///< what an integer code is stored plus

  explicit Codec(Format format)
      : rule(formats::kSpecs[static_cast<int>(format)].rule),
        bits(formats::kSpecs[static_cast<int>(format)].bits),
        offset(formats::offset(formats::kSpecs[static_cast<int>(format)])) {}

  __host__ __device__ bool has_integer_zeros() const { return rule == Rule::kAsymInt; }
  __host__ __device__ bool has_float_zeros() const { return rule == Rule::kAsymFloat || rule == Rule::kAsymCentre; }
  __device__ float half_range() const { return static_cast<float>(1 << (bits - 1)); }
  __device__ float levels() const { return static_cast<float>((1 << bits) - 1); }

  __device__ Scaling fit(Range range) const {
    const float h = half_range();
    const Range wide = range.with_zero();
    Scaling s;
    switch (rule) {
      case Rule::kSymNarrow:
        s.scale = __fdiv_rn(range.amax(), h - 1.0f);
        break;
      case Rule::kSymFull:
        s.scale = __fdiv_rn(range.amax(), h - 0.5f);
        break;
      case Rule::kSymNoClip:
        s.scale = fmaxf(__fdiv_rn(wide.depth(), h), __fdiv_rn(wide.high, h - 1.0f));
        break;
      case Rule::kSymSigned:
        s.scale = wide.depth() >= wide.high ? __fdiv_rn(wide.depth(), h) : __fdiv_rn(wide.high, -h);
        break;
      case Rule::kAsymInt:
        s.scale = wide.step(levels());
        s.zero = __float2int_rn(fminf(fmaxf(rintf(s.steps(wide.depth())), 0.0f), levels()));
        break;
      case Rule::kAsymFloat:
        s.scale = range.step(levels());
        s.float_zero = range.low;
        break;
      case Rule::kAsymCentre:
        s.scale = range.step(levels());
        s.float_zero = 2.0f * __fadd_rn(__fmul_rn(0.5f, range.low), __fmul_rn(__fmul_rn(0.5f, h), s.scale));
        break;
      case Rule::kE4m3:
        s.scale = __fdiv_rn(range.amax(), formats::kFp8Max);
        break;
      default:
        s.scale = range.amax();
    }
    return s;
  }

  __device__ int code(float x, const Scaling& s) const {
    const float h = half_range();
    switch (rule) {
      case Rule::kSymNarrow:
        return __float2int_rn(fminf(fmaxf(s.steps(x), 1.0f - h), h - 1.0f)) + offset;
      case Rule::kSymFull:
      case Rule::kSymNoClip:
      case Rule::kSymSigned:
        return __float2int_rn(fminf(fmaxf(s.steps(x), -h), h - 1.0f)) + offset;
      case Rule::kAsymInt:
        return __float2int_rn(fminf(fmaxf(__fadd_rn(rintf(s.steps(x)), static_cast<float>(s.zero)), 0.0f), levels()));
      case Rule::kAsymFloat:
      case Rule::kAsymCentre: {
        const float half_low =
            __fsub_rn(__fmul_rn(0.5f, s.float_zero), __fmul_rn(0.5f * static_cast<float>(offset), s.scale));
        const float steps = 2.0f * s.steps(__fsub_rn(__fmul_rn(0.5f, x), half_low));
        return __float2int_rn(fminf(fmaxf(steps, 0.0f), levels()));
      }
      case Rule::kNormalFloat:
        return rank(kNf4Thresholds, s.steps(x));
      case Rule::kBnbFloat:
        return kFp4CodeOfRank[rank(kFp4Thresholds, fabsf(s.steps(x)))] | (signbit(x) ? formats::kFp4SignBit : 0);
      default:
        return e4m3_code(fabsf(s.steps(x))) | (signbit(x) ? 0x80 : 0);
    }
  }

  /// What the scale multiplies, before an integer zero point is taken off.
  __device__ float value(int code) const {
    switch (rule) {
      case Rule::kNormalFloat:
        return kNf4[code];
      case Rule::kBnbFloat:
        return kFp4[code];
      case Rule::kE4m3:
        return code < 0x80 ? e4m3_magnitude(code) : -e4m3_magnitude(code - 0x80);
      case Rule::kSymNarrow:
        return static_cast<float>(bits == 8 ? static_cast<std::int8_t>(code) : code - offset);
      default:
        return static_cast<float>(code - offset);
    }
  }
};

/// The block of its row that column `col` lies in.
__device__ inline int block_of(const Shape& s, int col) {
  return s.block_shift >= 0 ? col >> s.block_shift : col / s.block;
}

/// Launchers refuse wider rows: columns are counted in 32 bits where they are divided.
constexpr std::int64_t kMaxCols = 0x7fffffff;

}  // namespace fairopt::cuda
