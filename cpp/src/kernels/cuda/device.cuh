// What every launcher needs: dense buffers of any element type, the quantised layout in device code, the way to launch.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <bit>
#include <cstdint>

#include "fairopt/quantize.h"
#include "kernels/cuda/launch.cuh"

namespace fairopt::cuda {

constexpr int kWarp = 32;
constexpr unsigned kAllLanes = 0xffffffffu;

/// A dense buffer read as fp32. The branch on dtype goes the same way for every thread of a launch.
struct Source {
  const void* data;
  DType dtype;

  __device__ float operator[](std::int64_t i) const {
    switch (dtype) {
      case DType::kFloat16:
        return __half2float(static_cast<const __half*>(data)[i]);
      case DType::kBFloat16:
        return __bfloat162float(static_cast<const __nv_bfloat16*>(data)[i]);
      default:
        return static_cast<const float*>(data)[i];
    }
  }
};

/// A dense buffer written from fp32, rounded to nearest even.
struct Target {
  void* data;
  DType dtype;

  __device__ void set(std::int64_t i, float value) const {
    switch (dtype) {
      case DType::kFloat16:
        static_cast<__half*>(data)[i] = __float2half_rn(value);
        return;
      case DType::kBFloat16:
        static_cast<__nv_bfloat16*>(data)[i] = __float2bfloat16_rn(value);
        return;
      default:
        static_cast<float*>(data)[i] = value;
        return;
    }
  }
};

__host__ __device__ constexpr std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// QuantizedLayout with its derived sizes, which device code cannot ask the core for.
struct Shape {
  std::int64_t rows, cols;
  std::int64_t blocks_per_row, bytes_per_row;
  int block;
  int block_shift;  ///< the logarithm of a block that is a power of two, else -1
};
inline Shape shape(const QuantizedLayout& layout, int bits) {
  const auto block = static_cast<unsigned>(layout.block);
  return {layout.rows,
          layout.cols,
          ceil_div(layout.cols, layout.block),
          ceil_div(layout.cols * bits, 8),
          static_cast<int>(block),
          std::has_single_bit(block) ? std::countr_zero(block) : -1};
}

/// A grid for a grid-stride loop: enough to fill any device, never above what a grid may have.
inline unsigned grid_size(std::int64_t wanted) { return static_cast<unsigned>(std::min(wanted, kMostStridingBlocks)); }

/// Of the current device.
inline int multiprocessors() {
  int device = 0, count = 1;
  cudaGetDevice(&device);
  cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device);
  return count;
}

/// What a thread block of the current device may have of shared memory.
inline std::size_t most_shared_bytes() {
  int device = 0, bytes = 0;
  cudaGetDevice(&device);
  cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
  return static_cast<std::size_t>(bytes);
}

/// Makes `device` current, runs launch(stream) and puts the caller's device back. Returns the first CUDA error.
template <class Launch>
int on_device(int device, void* stream, const Launch& launch) {
  int previous = 0;
  cudaError_t error = cudaGetDevice(&previous);
  if (error == cudaSuccess) error = cudaSetDevice(device);
  if (error != cudaSuccess) {
    cudaGetLastError();  // ours to report once, not again by the next launch
    return error;
  }
  launch(static_cast<cudaStream_t>(stream));
  error = cudaGetLastError();
  cudaSetDevice(previous);
  return error;
}

}  // namespace fairopt::cuda
