// double_dequantize on CUDA: a thread decodes four scales in a row.
#include "kernels/cuda/codec.cuh"
#include "kernels/cuda/launchers.h"

namespace fairopt::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kRun = 4;
constexpr int kNestedBlock = 256;
static __constant__ const Table<float, 256> kDynamicMap = copy_table(formats::kDynamicMap.values);

__global__ void __launch_bounds__(kThreads)
    double_dequantize_kernel(const std::uint8_t* codes, const float* nested_scales, const float* nested_offset,
                             std::int64_t n, float* out) {
  __shared__ float map[256];  // lanes ask for different entries, which constant memory would answer one by one
  map[threadIdx.x] = kDynamicMap[threadIdx.x];
  __syncthreads();
  const float offset = *nested_offset;
  const std::int64_t stride = std::int64_t{gridDim.x} * kThreads * kRun;
  for (std::int64_t first = (std::int64_t{blockIdx.x} * kThreads + threadIdx.x) * kRun; first < n; first += stride) {
    const float scale = nested_scales[first / kNestedBlock];
    for (std::int64_t i = first; i < min(first + kRun, n); ++i) {
      out[i] = __fadd_rn(__fmul_rn(map[codes[i]], scale), offset);
    }
  }
}

}  // namespace
}  // namespace fairopt::cuda

int fairopt_cuda_double_dequantize(const std::uint8_t* codes, const float* nested_scales, const float* nested_offset,
                                   std::int64_t n, float* out, int device, void* stream) {
  using namespace fairopt::cuda;
  static_assert(kThreads == 256);  // an entry of the map a thread
  if (n == 0) return cudaSuccess;
  return on_device(device, stream, [&](cudaStream_t s) {
    launch_kernel(double_dequantize_kernel, grid_size(ceil_div(n, kThreads * kRun)), kThreads, 0, s, codes,
                  nested_scales, nested_offset, n, out);
  });
}
