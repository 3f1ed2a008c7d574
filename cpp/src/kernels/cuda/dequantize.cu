// dequantize on CUDA: a thread takes eight columns, so that a warp reads and writes whole lines.
#include "kernels/cuda/launchers.h"
#include "kernels/cuda/lookup.cuh"

namespace fairopt::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kColumns = 8;
constexpr std::int64_t kTurns = 8;  // of a thread, so that the table is worth its staging

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

template <int kBits, class T>
__global__ void __launch_bounds__(kThreads) dequantize_kernel(Weight in, T* target) {
  using Table = Lookup<kBits>;
  extern __shared__ __align__(16) unsigned char memory[];
  Table& table = *reinterpret_cast<Table*>(memory);
  table.stage(in.codec);
  __syncthreads();
  const Shape& s = in.s;
  for (std::int64_t row = blockIdx.y; row < s.rows; row += gridDim.y) {
    for (std::int64_t turn = 0; turn < kTurns; ++turn) {
      const std::int64_t first = ((blockIdx.x * kTurns + turn) * kThreads + threadIdx.x) * kColumns;
      if (first >= s.cols) break;
      const std::int64_t block = row * s.blocks_per_row + block_of(s, static_cast<int>(first)), at = first / 8 * kBits;
      const std::uint64_t codes = load_codes<kBits>(in.codes + row * s.bytes_per_row + at, s.bytes_per_row - at);
      const float scale = in.scales[block], zero = in.zeros != nullptr ? static_cast<float>(in.zeros[block]) : 0.0f;
      float values[kColumns];
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
      // Each operation rounds once, in the order of the reference. Adding 0 would lose the sign of -0.
#pragma unroll
      for (float& value : values) value = __fmul_rn(__fsub_rn(value, zero), scale);
      if (in.float_zeros != nullptr) {
#pragma unroll
        for (float& value : values) value = __fadd_rn(value, in.float_zeros[block]);
      }
      T* to = target + row * s.cols + first;
      if (s.cols % kColumns == 0) {
        store(to, values);
      } else {
        for (int i = 0; i < kColumns && first + i < s.cols; ++i) to[i] = T(values[i]);
      }
    }
  }
}

template <int kBits, class T>
void launch(const Weight& in, void* target, cudaStream_t stream) {
  const auto across = ceil_div(in.s.cols, kThreads * kColumns * kTurns);
  const std::int64_t down = std::max<std::int64_t>(1, 8 * multiprocessors() / across);  // enough to fill the device
  const dim3 grid(static_cast<unsigned>(across), grid_size(std::min(in.s.rows, down)));
  dequantize_kernel<kBits, T><<<grid, kThreads, sizeof(Lookup<kBits>), stream>>>(in, static_cast<T*>(target));
}

}  // namespace
}  // namespace fairopt::cuda

int fairopt_cuda_dequantize(const fairopt::QuantizedView* in, const fairopt::QuantizedLayout* layout, void* target,
                            fairopt::DType dtype, int device, void* stream) {
  using namespace fairopt::cuda;
  if (layout->cols > kMaxCols) return cudaErrorInvalidValue;
  if (layout->rows == 0 || layout->cols == 0) return cudaSuccess;
  return on_device(device, stream, [&](cudaStream_t s) {
    const Weight weight(*in, *layout);
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
