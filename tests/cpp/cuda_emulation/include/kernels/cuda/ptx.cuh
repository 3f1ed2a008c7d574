// The emulation's twin of cpp/src/kernels/cuda/ptx.cuh. Which lane holds which entries, by the PTX ISA, "Matrix
// fragments for mma.m16n8k16 with floating point type" and "for mma.m16n8k32", of lane 4 g + t:
//   a[0] row g, a[1] row g + 8, from column e t on; a[2], a[3] the same rows, from column e t + 4 e on  (A is 16 x 8 e)
//   b0 column g, from row e t on; b1 from row e t + 4 e on                                               (B is 8 e x 8)
//   c[0], c[1] row g, columns 2 t and 2 t + 1; c[2], c[3] row g + 8                                      (C is 16 x 8)
// with e entries to a word, 2 of 16 bits or 4 of 8, the first in the low bits.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <cstring>

#include "block.h"

namespace fairopt::cuda::ptx {

/// The words that a lane brings, taken apart: kEntries numbers each.
template <class A, class B, int kEntries>
struct Fragments {
  A a[4][kEntries];
  B b[2][kEntries];
};

/// c += a b, every sum by `Sum`.
template <class Sum, class A, class B, int kEntries, class C>
void multiply(C (&c)[4], const Fragments<A, B, kEntries>& own, const CallSite& at) {
  const cuda_emulation::WarpWords& words = cuda_emulation::meet_warp("mma", at, 0xffffffffu, &own, sizeof own);
  const int group = cuda_emulation::lane() / 4, quarter = cuda_emulation::lane() % 4;
  for (int i = 0; i < 4; ++i) {
    const int below = i / 2, column = 2 * quarter + i % 2;  // which of the two rows; of B
    auto sum = static_cast<Sum>(c[i]);
    for (int t = 0; t < 4; ++t) {
      const auto& rows = words.of<Fragments<A, B, kEntries>>(4 * group + t);
      const auto& columns = words.of<Fragments<A, B, kEntries>>(4 * column + t);
      for (int half = 0; half < 2; ++half) {
        for (int e = 0; e < kEntries; ++e) {
          sum += static_cast<Sum>(rows.a[2 * half + below][e]) * static_cast<Sum>(columns.b[half][e]);
        }
      }
    }
    c[i] = static_cast<C>(sum);
  }
}

inline float as_float(__half value) { return __half2float(value); }
inline float as_float(__nv_bfloat16 value) { return __bfloat162float(value); }

template <class T>
void take_apart(std::uint32_t word, float (&to)[2]) {
  T values[2];
  std::memcpy(values, &word, sizeof word);
  to[0] = as_float(values[0]), to[1] = as_float(values[1]);
}

/// Sums in float64, rounded once: the ISA promises no order and no rounding.
template <class T>
void mma_16x8x16(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1,
                 CallSite at = CallSite::current()) {
  Fragments<float, float, 2> own;
  for (int i = 0; i < 4; ++i) take_apart<T>(a[i], own.a[i]);
  take_apart<T>(b0, own.b[0]), take_apart<T>(b1, own.b[1]);
  multiply<double>(c, own, at);
}

/// Sums modulo 2^32.
template <class A>
void mma_16x8x32(std::int32_t (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1,
                 CallSite at = CallSite::current()) {
  Fragments<A, std::int8_t, 4> own;
  std::memcpy(own.a, a, sizeof own.a);
  std::memcpy(own.b[0], &b0, sizeof b0), std::memcpy(own.b[1], &b1, sizeof b1);
  multiply<std::uint32_t>(c, own, at);
}

template <class T>
void keep(const T*&) {}

/// Counted from the start of the dynamic shared memory, where all that is looked up by address lies.
inline std::uint32_t shared_address(const void* object) {
  return static_cast<std::uint32_t>(static_cast<const std::byte*>(object) - cuda_emulation::shared_memory());
}

template <int kOffset = 0>
std::uint32_t load_shared(std::uint32_t address) {
  const std::size_t at = std::size_t{address} + kOffset;
  if (at % 4 != 0 || at + 4 > cuda_emulation::shared_memory_bytes()) cuda_emulation::fail("bad load from shared memory");
  std::uint32_t word;
  std::memcpy(&word, cuda_emulation::shared_memory() + at, sizeof word);
  return word;
}

}  // namespace fairopt::cuda::ptx
