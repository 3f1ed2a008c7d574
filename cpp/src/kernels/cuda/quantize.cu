// quantize on CUDA: one warp a block of weights, which it reads twice: for the range, then for the codes.
#include "kernels/cuda/codec.cuh"
#include "kernels/cuda/launchers.h"

namespace fairopt::cuda {
namespace {

constexpr int kWarps = 8;  // in a thread block

/// Codes of n values by one warp. Four bits: a lane a byte, two values; an odd tail is padded with the code of zero.
template <Format kFormat>
__device__ void write_codes(const Source& source, std::int64_t first, std::int64_t n, BlockParameters parameters,
                            std::uint8_t* codes) {
  using C = Codec<kFormat>;
  const int lane = threadIdx.x % kWarp;
  const auto code = [&](std::int64_t i) { return C::code(i < n ? source[first + i] : 0.0f, parameters); };
  if constexpr (C::kBits == 8) {
    for (std::int64_t i = lane; i < n; i += kWarp) codes[i] = static_cast<std::uint8_t>(code(i));
  } else {
    for (std::int64_t i = 2 * lane; i < n; i += 2 * kWarp) {
      codes[i / 2] = static_cast<std::uint8_t>(code(i) << formats::kHighNibbleShift | code(i + 1));
    }
  }
}

template <Format kFormat>
__global__ void quantize_kernel(Source source, Shape s, QuantizedBuffers out) {
  const int lane = threadIdx.x % kWarp;
  const std::int64_t blocks = s.rows * s.blocks_per_row, stride = std::int64_t{gridDim.x} * kWarps;
  for (std::int64_t i = std::int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarp; i < blocks; i += stride) {
    const std::int64_t row = i / s.blocks_per_row, col = i % s.blocks_per_row * s.block;
    const std::int64_t first = row * s.cols + col, n = min(std::int64_t{s.block}, s.cols - col);
    Range range;
    for (std::int64_t j = lane; j < n; j += kWarp) range.widen(source[first + j]);
    const BlockParameters parameters = Codec<kFormat>::parameters(range.over_warp());
    if (lane == 0) {
      out.scales[i] = parameters.scale;
      if constexpr (kFormat == Format::kInt4Asym) out.zeros[i] = static_cast<std::uint8_t>(parameters.zero);
    }
    std::uint8_t* codes = out.codes + row * s.bytes_per_row + col * Codec<kFormat>::kBits / 8;
    write_codes<kFormat>(source, first, n, parameters, codes);
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
    for_format(layout->format, [&]<fairopt::Format kFormat>() {
      const Shape dims = shape(*layout, Codec<kFormat>::kBits);
      const unsigned grid = grid_size(ceil_div(dims.rows * dims.blocks_per_row, kWarps));
      quantize_kernel<kFormat><<<grid, kWarps * kWarp, 0, s>>>(Source{source, dtype}, dims, *out);
    });
  });
}
