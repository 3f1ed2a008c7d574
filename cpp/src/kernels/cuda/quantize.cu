// quantize on CUDA: one warp a block of weights, which it reads twice: for the range, then for the codes.
#include "kernels/cuda/codec.cuh"
#include "kernels/cuda/launchers.h"

namespace fairopt::cuda {
namespace {

constexpr int kWarps = 8;  // in a thread block

/// Codes of n values by one warp. A lane makes whole bytes: 8 values fill `bits` of them. The row's last byte is padded
/// with codes of zero.
__device__ void write_codes(const Codec& codec, const Source& source, std::int64_t first, std::int64_t n,
                            const Scaling& scaling, std::uint8_t* codes) {
  constexpr int kRun = 8;
  const std::uint64_t mask = (std::uint64_t{1} << codec.bits) - 1;
  const std::int64_t bytes = ceil_div(n * codec.bits, 8);
  for (std::int64_t i = kRun * (threadIdx.x % kWarp); i < n; i += kRun * kWarp) {
    std::uint64_t run = 0;
    for (int j = 0; j < kRun; ++j) {
      const float x = i + j < n ? source[first + i + j] : 0.0f;
      run = run << codec.bits | (static_cast<std::uint64_t>(codec.code(x, scaling)) & mask);
    }
    const std::int64_t at = i / kRun * codec.bits;
    for (int b = 0; b < codec.bits && at + b < bytes; ++b) {
      codes[at + b] = static_cast<std::uint8_t>(run >> 8 * (codec.bits - 1 - b));
    }
  }
}

__global__ void quantize_kernel(Codec codec, Source source, Shape s, QuantizedBuffers out) {
  const int lane = threadIdx.x % kWarp;
  const std::int64_t blocks = s.rows * s.blocks_per_row, stride = std::int64_t{gridDim.x} * kWarps;
  for (std::int64_t i = std::int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarp; i < blocks; i += stride) {
    const std::int64_t row = i / s.blocks_per_row, col = i % s.blocks_per_row * s.block;
    const std::int64_t first = row * s.cols + col, n = min(std::int64_t{s.block}, s.cols - col);
    Range range{source[first], source[first]};
    for (std::int64_t j = lane; j < n; j += kWarp) range.widen(source[first + j]);
    const Scaling scaling = codec.fit(range.over_warp());
    if (lane == 0) {
      out.scales[i] = scaling.scale;
      if (codec.has_integer_zeros()) out.zeros[i] = static_cast<std::uint8_t>(scaling.zero);
      if (codec.has_float_zeros()) out.float_zeros[i] = scaling.float_zero;
    }
    write_codes(codec, source, first, n, scaling, out.codes + row * s.bytes_per_row + col * codec.bits / 8);
  }
}

}  // namespace
}  // namespace fairopt::cuda

int fairopt_cuda_quantize(const void* source, fairopt::DType dtype, const fairopt::QuantizedLayout* layout,
                          const fairopt::QuantizedBuffers* out, int device, void* stream) {
  using namespace fairopt::cuda;
  if (layout->cols > kMaxCols) return cudaErrorInvalidValue;
  if (layout->rows == 0 || layout->cols == 0) return cudaSuccess;
  return on_device(device, stream, [&](cudaStream_t s) {
    const Codec codec(layout->format);
    const Shape dims = shape(*layout, codec.bits);
    const unsigned grid = grid_size(ceil_div(dims.rows * dims.blocks_per_row, kWarps));
    launch_kernel(quantize_kernel, grid, kWarps * kWarp, 0, s, codec, Source{source, dtype}, dims, *out);
  });
}
