// What CUDA C++ has for device code: intrinsics as plain C++, collectives as meetings of fibers (block.h).
#pragma once
#include <bit>
#include <cmath>
#include <cstdint>
#include <source_location>

#include "block.h"

// Each operation rounds once; the library is compiled without contraction.
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline float __int_as_float(int bits) { return std::bit_cast<float>(bits); }
inline int __float_as_int(float value) { return std::bit_cast<int>(value); }
inline unsigned __float_as_uint(float value) { return std::bit_cast<unsigned>(value); }
/// To the nearest, ties to even; NaN is 0, and what is too large the largest.
inline int __float2int_rn(float value) {
  if (std::isnan(value)) return 0;
  if (value >= 0x1p31f) return INT32_MAX;
  return value < -0x1p31f ? INT32_MIN : static_cast<int>(std::rint(value));
}
using std::isinf;
using std::signbit;

template <class T>
T min(T a, T b) {
  return b < a ? b : a;
}
template <class T>
T max(T a, T b) {
  return a < b ? b : a;
}

/// Where the kernels find them before those of the C library, which may take either zero: for PTX -0 is below +0. A NaN
/// gives way to a number.
namespace fairopt::cuda {
inline float fminf(float a, float b) { return a == b ? (std::signbit(a) ? a : b) : std::fmin(a, b); }
inline float fmaxf(float a, float b) { return a == b ? (std::signbit(a) ? b : a) : std::fmax(a, b); }
}  // namespace fairopt::cuda

inline int __popc(unsigned bits) { return std::popcount(bits); }
/// The bytes of y and x, from 0 in x's lowest on, that the nibbles of `selector` name.
inline unsigned __byte_perm(unsigned x, unsigned y, unsigned selector) {
  const std::uint64_t bytes = std::uint64_t{y} << 32 | x;
  unsigned result = 0;
  for (int i = 0; i < 4; ++i) {
    const unsigned nibble = selector >> 4 * i & 15;
    unsigned byte = bytes >> 8 * (nibble & 7) & 0xff;
    if (nibble & 8) byte = byte & 0x80 ? 0xff : 0;  // the sign of the byte instead
    result |= byte << 8 * i;
  }
  return result;
}
inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned shift) {
  return static_cast<unsigned>((std::uint64_t{high} << 32 | low) << (shift & 31) >> 32);
}

/// A load whose address the hardware wants aligned to its size.
template <class T>
T __ldg(const T* from) {
  if (reinterpret_cast<std::uintptr_t>(from) % alignof(T) != 0)
    cuda_emulation::fail("a thread loads from a misaligned address");
  return *from;
}
template <class T>
T __ldcs(const T* from) {
  return __ldg(from);
}

template <class T>
T atomicAdd(T* at, std::type_identity_t<T> value) {
  const T before = *at;
  *at += value;
  return before;
}
template <class T>
T atomicMax(T* at, std::type_identity_t<T> value) {
  const T before = *at;
  *at = max(before, value);
  return before;
}

using CallSite = std::source_location;

inline void __syncthreads(CallSite at = CallSite::current()) { cuda_emulation::meet_block("__syncthreads", at, false); }
inline int __syncthreads_count(int flag, CallSite at = CallSite::current()) {
  return cuda_emulation::meet_block("__syncthreads_count", at, flag != 0).yes;
}
inline int __syncthreads_and(int flag, CallSite at = CallSite::current()) {
  const cuda_emulation::Votes votes = cuda_emulation::meet_block("__syncthreads_and", at, flag != 0);
  return votes.yes == votes.all;
}
inline unsigned __ballot_sync(unsigned mask, int flag, CallSite at = CallSite::current()) {
  const cuda_emulation::WarpWords& words = cuda_emulation::meet_warp("__ballot_sync", at, mask, &flag, sizeof flag);
  unsigned lanes = 0;
  for (int i = 0; i < cuda_emulation::WarpWords::kLanes; ++i) {
    if (words.has(i) && words.of<int>(i) != 0) lanes |= 1u << i;
  }
  return lanes;
}
inline int __all_sync(unsigned mask, int flag, CallSite at = CallSite::current()) {
  return __ballot_sync(mask, !flag, at) == 0;
}
template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32, CallSite at = CallSite::current()) {
  const cuda_emulation::WarpWords& words = cuda_emulation::meet_warp("__shfl_sync", at, mask, &value, sizeof value);
  return words.of<T>((cuda_emulation::lane() & ~(width - 1)) + (source & (width - 1)));
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int bits, CallSite at = CallSite::current()) {
  const cuda_emulation::WarpWords& words = cuda_emulation::meet_warp("__shfl_xor_sync", at, mask, &value, sizeof value);
  return words.of<T>(cuda_emulation::lane() ^ bits);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, int by, CallSite at = CallSite::current()) {
  const cuda_emulation::WarpWords& words = cuda_emulation::meet_warp("__shfl_up_sync", at, mask, &value, sizeof value);
  const int from = cuda_emulation::lane() - by;
  return words.of<T>(from < 0 ? cuda_emulation::lane() : from);  // the first lanes keep their own
}
