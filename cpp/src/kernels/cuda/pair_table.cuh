// Codes to pairs of 16-bit floats by a table in shared memory, for the tensor cores: a byte of codes gives two values
// of 4 bits or one of 8.
#pragma once
#include "kernels/cuda/codec.cuh"
#include "kernels/cuda/ptx.cuh"

namespace fairopt::cuda {

template <class T>
struct Pair;
template <>
struct Pair<__half> {
  static __device__ float rounded(float v) { return __half2float(__float2half_rn(v)); }
  static __device__ std::uint32_t bits(float low, float high) {
    const __half2 pair = __floats2half2_rn(low, high);
    return *reinterpret_cast<const std::uint32_t*>(&pair);
  }
  static constexpr std::uint32_t kOnes = 0x3c003c00;
};
template <>
struct Pair<__nv_bfloat16> {
  static __device__ float rounded(float v) { return __bfloat162float(__float2bfloat16_rn(v)); }
  static __device__ std::uint32_t bits(float low, float high) {
    const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
    return *reinterpret_cast<const std::uint32_t*>(&pair);
  }
  static constexpr std::uint32_t kOnes = 0x3f803f80;
};

/// Byte -> two values of 4-bit codes, or one 8-bit code's value twice, as 16-bit floats; kTerms of them sum up to it. A
/// copy a lane: no two meet in a bank.
template <class T, int kBits, int kTerms>
struct PairTable {
  std::uint32_t terms[kTerms][256][kWarp];

  __device__ void stage(const Codec& codec) {
    for (int byte = threadIdx.x; byte < 256; byte += blockDim.x) {
      float low = codec.value(kBits == 4 ? byte >> 4 : byte), high = codec.value(kBits == 4 ? byte & 15 : byte);
#pragma unroll
      for (int term = 0; term < kTerms; ++term) {
        const std::uint32_t pair = Pair<T>::bits(low, high);
        low -= Pair<T>::rounded(low), high -= Pair<T>::rounded(high);
        // Every lane begins with another copy, so that they write to different banks.
        for (int i = 0; i < kWarp; ++i) terms[term][byte][(threadIdx.x + i) % kWarp] = pair;
      }
    }
  }
};

/// A lane's copy of a table that has been staged. Accesses by its address in shared memory cost two instructions.
template <int kBits, int kTerms>
struct LaneTable {
  static constexpr int kEntry = sizeof(std::uint32_t) * kWarp;
  std::uint32_t address;

  template <class T>
  __device__ explicit LaneTable(const PairTable<T, kBits, kTerms>& table)
      : address(ptx::shared_address(&table.terms[0][0][threadIdx.x % kWarp])) {}
  /// The terms of the entry of byte `i` of a word.
  __device__ __forceinline__ void of_byte(std::uint32_t word, int i, std::uint32_t (&terms)[kTerms]) const {
    const std::uint32_t at = __byte_perm(word, 0, 0x4440 + i) * kEntry + address;
    terms[0] = ptx::load_shared(at);
    if constexpr (kTerms == 2) terms[1] = ptx::load_shared<256 * kEntry>(at);
  }
  /// The values of pair `i` of a thread's columns.
  __device__ __forceinline__ void pair(const std::uint32_t* words, int i, std::uint32_t (&terms)[kTerms]) const {
    if constexpr (kBits == 4) {
      of_byte(words[i / 4], i % 4, terms);
    } else {
      std::uint32_t low[kTerms], high[kTerms];
      of_byte(words[i / 2], 2 * (i % 2), low);
      of_byte(words[i / 2], 2 * (i % 2) + 1, high);
      terms[0] = __byte_perm(low[0], high[0], 0x5410);
    }
  }
};

}  // namespace fairopt::cuda
