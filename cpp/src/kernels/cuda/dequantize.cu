// dequantize on CUDA: a thread takes eight neighbouring columns, which share a block (blocks are multiples of 16).
#include "kernels/cuda/codec.cuh"
#include "kernels/cuda/launchers.h"

namespace fairopt::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kRun = 8;

template <Format kFormat>
__global__ void dequantize_kernel(QuantizedView in, Shape s, Target target) {
  using C = Codec<kFormat>;
  const std::int64_t first = (std::int64_t{blockIdx.x} * kThreads + threadIdx.x) * kRun;
  if (first >= s.cols) return;
  const std::int64_t end = min(first + kRun, s.cols);
  for (std::int64_t row = blockIdx.y; row < s.rows; row += gridDim.y) {
    const BlockParameters block = block_at<kFormat>(in, s, row, first);
    const std::uint8_t* codes = in.codes + row * s.bytes_per_row;
    for (std::int64_t col = first; col < end; ++col) {
      const float value = C::value(code_at<C::kBits>(codes, col), block.zero);
      target.set(row * s.cols + col, __fmul_rn(value, block.scale));
    }
  }
}

}  // namespace
}  // namespace fairopt::cuda

int fairopt_cuda_dequantize(const fairopt::QuantizedView* in, const fairopt::QuantizedLayout* layout, void* target,
                            fairopt::DType dtype, int device, void* stream) {
  using namespace fairopt::cuda;
  if (layout->cols > kMaxCols) return cudaErrorInvalidValue;
  if (layout->rows == 0 || layout->cols == 0) return cudaSuccess;
  return on_device(device, stream, [&](cudaStream_t s) {
    for_format(layout->format, [&]<fairopt::Format kFormat>() {
      const Shape dims = shape(*layout, Codec<kFormat>::kBits);
      const dim3 grid(static_cast<unsigned>(ceil_div(dims.cols, kThreads * kRun)), grid_size(dims.rows));
      dequantize_kernel<kFormat><<<grid, kThreads, 0, s>>>(*in, dims, Target{target, dtype});
    });
  });
}
