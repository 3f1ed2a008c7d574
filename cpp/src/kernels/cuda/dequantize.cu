// dequantize on CUDA: a thread takes eight columns, so that a warp reads and writes whole lines, and reads for four
// turns before it writes for the first.
#include "kernels/cuda/launchers.h"
#include "kernels/cuda/lookup.cuh"

namespace fairopt::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kColumns = 8;
constexpr int kTurns = 4;
constexpr std::int64_t kSpan = std::int64_t{kTurns} * kThreads * kColumns;  // columns of a thread block

/// The bit string of eight codes, the first in the high bits.
template <int kBits>
__device__ std::uint64_t load_codes(const std::uint8_t* from, std::int64_t bytes_left) {
  if constexpr (kBits == 4) {
    if (bytes_left >= 4 && reinterpret_cast<std::uintptr_t>(from) % 4 == 0) {
      return __byte_perm(__ldcs(reinterpret_cast<const unsigned*>(from)), 0, 0x0123);
    }
  }
  if constexpr (kBits == 8) {
    if (bytes_left >= 8 && reinterpret_cast<std::uintptr_t>(from) % 8 == 0) {
      const uint2 v = __ldcs(reinterpret_cast<const uint2*>(from));
      return std::uint64_t{__byte_perm(v.x, 0, 0x0123)} << 32 | __byte_perm(v.y, 0, 0x0123);
    }
  }
  std::uint64_t codes = 0;
#pragma unroll
  for (int b = 0; b < kBits; ++b) codes = codes << 8 | (b < bytes_left ? from[b] : 0);
  return codes;
}

template <class T>
__device__ void store(T* to, const float (&values)[kColumns]) {
  if constexpr (sizeof(T) == 4) {
    reinterpret_cast<float4*>(to)[0] = {values[0], values[1], values[2], values[3]};
    reinterpret_cast<float4*>(to)[1] = {values[4], values[5], values[6], values[7]};
  } else {
    __align__(16) T rounded[kColumns];
#pragma unroll
    for (int i = 0; i < kColumns; ++i) rounded[i] = T(values[i]);
    *reinterpret_cast<uint4*>(to) = *reinterpret_cast<const uint4*>(rounded);
  }
}

/// Eight columns of a row as they are stored.
template <int kBits>
struct Run {
  std::uint64_t codes;
  float scale, zero, float_zero;

  __device__ __forceinline__ void load(const Weight& in, std::int64_t row, std::int64_t first) {
    const std::int64_t block = row * in.s.blocks_per_row + block_of(in.s, static_cast<int>(first)),
                       at = first / 8 * kBits;
    codes = load_codes<kBits>(in.codes + row * in.s.bytes_per_row + at, in.s.bytes_per_row - at);
    scale = __ldg(in.scales + block);
    zero = in.zeros != nullptr ? static_cast<float>(__ldg(in.zeros + block)) : 0.0f;
    float_zero = in.float_zeros != nullptr ? __ldg(in.float_zeros + block) : 0.0f;
  }

  /// Each operation rounds once, in the order of the reference. Adding 0 would lose the sign of -0.
  __device__ __forceinline__ void decode(const Lookup<kBits>& table, bool has_float_zeros,
                                         float (&values)[kColumns]) const {
    using Table = Lookup<kBits>;
#pragma unroll
    for (int i = 0; i < kColumns; i += Table::kValues) {
      const auto index = static_cast<unsigned>(codes >> (kColumns * kBits - i * kBits - Table::kIndexBits));
      const auto entry = table[index & (Table::kEntries - 1)];
      if constexpr (Table::kValues == 2) {
        values[i] = entry.x, values[i + 1] = entry.y;
      } else {
        values[i] = entry;
      }
    }
#pragma unroll
    for (float& value : values) value = __fmul_rn(__fsub_rn(value, zero), scale);
    if (!has_float_zeros) return;
#pragma unroll
    for (float& value : values) value = __fadd_rn(value, float_zero);
  }
};

template <int kBits, class T>
__global__ void __launch_bounds__(kThreads) dequantize_kernel(Weight in, T* target) {
  Lookup<kBits>& table = *dynamic_shared<Lookup<kBits>>();
  table.stage(in.codec);
  __syncthreads();
  const std::int64_t cols = in.s.cols;
  for (std::int64_t row = blockIdx.y; row < in.s.rows; row += gridDim.y) {
    for (std::int64_t span = blockIdx.x * kSpan; span < cols; span += gridDim.x * kSpan) {
      const std::int64_t mine = span + threadIdx.x * kColumns;
      Run<kBits> runs[kTurns];
#pragma unroll
      for (int turn = 0; turn < kTurns; ++turn) {
        const std::int64_t first = mine + turn * kThreads * kColumns;
        if (first < cols) runs[turn].load(in, row, first);
      }
#pragma unroll
      for (int turn = 0; turn < kTurns; ++turn) {
        const std::int64_t first = mine + turn * kThreads * kColumns;
        if (first >= cols) break;
        float values[kColumns];
        runs[turn].decode(table, in.float_zeros != nullptr, values);
        T* to = target + row * cols + first;
        if (cols % kColumns == 0) {
          store(to, values);
        } else {
          for (int i = 0; i < kColumns && first + i < cols; ++i) to[i] = T(values[i]);
        }
      }
    }
  }
}

template <int kBits, class T>
void launch(const Weight& in, void* target, cudaStream_t stream) {
  const std::int64_t blocks = 6 * multiprocessors();  // as many as their tables leave room for
  const std::int64_t across = std::min(blocks, ceil_div(in.s.cols, kSpan)), down = std::min(in.s.rows, blocks / across);
  const dim3 grid(static_cast<unsigned>(across), static_cast<unsigned>(down));
  launch_kernel(dequantize_kernel<kBits, T>, grid, kThreads, sizeof(Lookup<kBits>), stream, in,
                static_cast<T*>(target));
}

/// Rows that end with a block and a byte follow each other like parts of one row, which spreads more evenly.
void join_rows(Shape& s, int bits) {
  if (s.cols % s.block != 0 || s.cols * bits % 8 != 0 || s.rows * s.cols > kMaxCols) return;
  s.cols *= s.rows, s.blocks_per_row *= s.rows, s.bytes_per_row *= s.rows;
  s.rows = 1;
}

}  // namespace
}  // namespace fairopt::cuda

int fairopt_cuda_dequantize(const fairopt::QuantizedView* in, const fairopt::QuantizedLayout* layout, void* target,
                            fairopt::DType dtype, int device, void* stream) {
  using namespace fairopt::cuda;
  if (layout->cols > kMaxCols) return cudaErrorInvalidValue;
  if (layout->rows == 0 || layout->cols == 0) return cudaSuccess;
  return on_device(device, stream, [&](cudaStream_t s) {
    Weight weight(*in, *layout);
    join_rows(weight.s, weight.codec.bits);
    for_bits(weight.codec.bits, [&]<int kBits>() {
      switch (dtype) {
        case fairopt::DType::kFloat16:
          return launch<kBits, __half>(weight, target, s);
        case fairopt::DType::kBFloat16:
          return launch<kBits, __nv_bfloat16>(weight, target, s);
        default:
          return launch<kBits, float>(weight, target, s);
      }
    });
  });
}
