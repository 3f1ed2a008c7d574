// hadamard_transform on CUDA, to the CPU's bits: a thread block takes a block of columns into shared memory, where the
// butterflies are done with strides ascending. The signs of the outer matrix come as an argument of the kernel, so that
// nothing is copied to the device.
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/launchers.h"

namespace fairopt::cuda {
namespace {

constexpr int kMostThreads = 1024;

/// sum over j of sign(i, j) x[j * power + k]: value k of row i of the outer matrix.
__device__ float signed_sum(const HadamardArgs& a, const Source& x, std::int64_t first, int i, int k) {
  float total = 0.0f;
  for (int j = 0; j < a.order; ++j) {
    const float term = x[first + std::int64_t{j} * a.power + k];
    const int at = a.transpose ? j * a.order + i : i * a.order + j;
    total = a.signs[at / 32] >> at % 32 & 1 ? __fsub_rn(total, term) : __fadd_rn(total, term);
  }
  return total;
}

__global__ void __launch_bounds__(kMostThreads) hadamard_kernel(const __grid_constant__ HadamardArgs a) {
  float* values = dynamic_shared<float>();
  const Source x{a.x, a.dtype};
  const Target y{a.y, a.dtype};
  const int size = a.order * a.power;
  for (std::int64_t block = blockIdx.x; block < a.rows * a.blocks; block += gridDim.x) {
    const std::int64_t first = block * size;
    for (int i = threadIdx.x; i < size; i += blockDim.x) {
      values[i] = signed_sum(a, x, first, i / a.power, i % a.power);
    }
    __syncthreads();
    for (int stride = 1; stride < a.power; stride *= 2) {
      for (int i = threadIdx.x; i < size / 2; i += blockDim.x) {
        const int low = i / stride * stride + i, high = low + stride;
        const float u = values[low], v = values[high];
        values[low] = __fadd_rn(u, v);
        values[high] = __fsub_rn(u, v);
      }
      __syncthreads();
    }
    for (int i = threadIdx.x; i < size; i += blockDim.x) y.set(first + i, __fmul_rn(values[i], a.scale));
    __syncthreads();  // before the next block's values come
  }
}

}  // namespace
}  // namespace fairopt::cuda

int fairopt_cuda_hadamard_transform(const fairopt::cuda::HadamardArgs* args, int device, void* stream) {
  using namespace fairopt::cuda;
  const std::int64_t size = std::int64_t{args->order} * args->power;
  if (size > kMaxHadamardColumns) return cudaErrorInvalidValue;
  if (args->rows == 0) return cudaSuccess;
  return on_device(device, stream, [&](cudaStream_t s) {
    const auto threads =
        static_cast<unsigned>(std::clamp<std::int64_t>(ceil_div(size, 8 * kWarp) * kWarp, kWarp, kMostThreads));
    launch_kernel(hadamard_kernel, grid_size(args->rows * args->blocks), threads, size * sizeof(float), s, *args);
  });
}
