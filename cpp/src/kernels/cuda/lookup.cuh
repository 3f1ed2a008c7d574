// Codes to weights by table: an index of up to 8 bits, cut from the bit string of a row, gives one or two weights at
// once. The table lies in shared memory in so many copies that no two lanes of an access meet in a bank, so all formats
// of as many bits run at one speed.
#pragma once
#include "kernels/cuda/codec.cuh"

namespace fairopt::cuda {

constexpr int kRun = 32;   // consecutive columns of a lane: kBits words of codes
constexpr int kHalf = 16;  // of which each half lies in one block (blocks are multiples of 16)

template <int kBits>
struct Lookup {
  static constexpr int kValues = kBits <= 4 ? 2 : 1;  // a lookup
  static constexpr int kIndexBits = kBits * kValues;
  static constexpr int kEntries = 1 << kIndexBits;
  static constexpr int kCopies = kWarp / kValues;  // as many lanes as an access serves at once
  using Entry = std::conditional_t<kValues == 2, float2, float>;

  Entry entries[kEntries * kCopies];

  /// By all threads of the block; to be followed by __syncthreads().
  __device__ void stage(const Codec& codec) {
    for (int index = threadIdx.x; index < kEntries; index += blockDim.x) {
      Entry entry;
      if constexpr (kValues == 2) {
        entry = {codec.value(index >> kBits), codec.value(index & ((1 << kBits) - 1))};
      } else {
        entry = codec.value(index);
      }
      // Every lane begins with another copy, so that they write to different banks.
      for (int i = 0; i < kCopies; ++i) entries[index * kCopies + (threadIdx.x + i) % kCopies] = entry;
    }
  }
  __device__ Entry operator[](unsigned index) const { return entries[index * kCopies + threadIdx.x % kCopies]; }
};

/// The codes of a lane's run, as 32-bit pieces of the bit string.
template <int kBits>
struct RunCodes {
  std::uint32_t words[kBits];

  /// `row`: the codes of a row, `end` bytes. `whole`: rows start on 16 bytes. Bytes beyond the row read as 0.
  __device__ void load(const std::uint8_t* row, std::int64_t first, std::int64_t end, bool whole) {
    if (whole && first + 4 * kBits <= end) {
      if constexpr (kBits % 4 == 0) {
        const uint4* source = reinterpret_cast<const uint4*>(row + first);
#pragma unroll
        for (int i = 0; i < kBits / 4; ++i) {
          const uint4 v = __ldcs(source + i);  // read once: do not keep it in the caches
          words[4 * i] = v.x, words[4 * i + 1] = v.y, words[4 * i + 2] = v.z, words[4 * i + 3] = v.w;
        }
      } else {
        const std::uint32_t* source = reinterpret_cast<const std::uint32_t*>(row + first);
#pragma unroll
        for (int i = 0; i < kBits; ++i) words[i] = __ldg(source + i);  // neighbours need the rest of the line
      }
      return;
    }
#pragma unroll
    for (int i = 0; i < kBits; ++i) {
      std::uint32_t word = 0;
#pragma unroll 1
      for (int b = 0; b < 4; ++b) {
        const std::int64_t at = first + 4 * i + b;
        if (at < end) word |= std::uint32_t{row[at]} << 8 * b;
      }
      words[i] = word;
    }
  }

  /// The i-th index of `kIndexBits` bits, counted from the high bit of the first byte. i is a compile-time constant
  /// after unrolling.
  template <int kIndexBits>
  __device__ __forceinline__ unsigned index(int i) const {
    constexpr unsigned kMask = (1u << kIndexBits) - 1;
    const int at = i * kIndexBits, word = at / 32, end = at % 32 + kIndexBits;
    if constexpr (kIndexBits == 8) return words[word] >> at % 32 & kMask;
    if constexpr (kIndexBits == 4) return words[word] >> ((at % 32) ^ 4) & kMask;
    const std::uint32_t high = __byte_perm(words[word], 0, 0x0123);
    if (end <= 32) return high >> (32 - end) & kMask;
    const std::uint32_t low = __byte_perm(words[word + 1], 0, 0x0123);
    return __funnelshift_l(low, high, end - 32) & kMask;
  }
};

/// W as kernels see it.
struct Weight {
  const std::uint8_t* codes;
  const float* scales;
  const std::uint8_t* zeros;
  const float* float_zeros;
  Shape s;
  Codec codec;
  bool whole_words;  ///< rows of codes start on 16 bytes

  Weight(const QuantizedView& view, const QuantizedLayout& layout)
      : codes(view.codes), scales(view.scales), zeros(view.zeros), float_zeros(view.float_zeros), codec(layout.format) {
    s = shape(layout, codec.bits);
    whole_words = reinterpret_cast<std::uintptr_t>(codes) % 16 == 0 && s.bytes_per_row % 16 == 0;
  }

  __host__ __device__ bool has_zeros() const { return zeros != nullptr || float_zeros != nullptr; }
  /// What the sum of x over block i is multiplied by, of the block with scale `scale`.
  __device__ float shift(std::int64_t i, float scale) const {
    if (zeros != nullptr) return -__fmul_rn(static_cast<float>(zeros[i]), scale);
    return float_zeros != nullptr ? __ldg(float_zeros + i) : 0.0f;
  }
};

/// Calls f.operator()<bits>(): the one switch from a run-time format to compiled kernels.
template <class F>
void for_bits(int bits, const F& f) {
  switch (bits) {
    case 2:
      return f.template operator()<2>();
    case 3:
      return f.template operator()<3>();
    case 4:
      return f.template operator()<4>();
    case 5:
      return f.template operator()<5>();
    case 6:
      return f.template operator()<6>();
    default:
      return f.template operator()<8>();
  }
}

}  // namespace fairopt::cuda
