// quantized_linear in the integer modes, to the CPU's bits (docs/formats.md, "Packed layout", has the arithmetic).
//
// A first kernel writes every row of x in fixed point, as planes of balanced int8 digits, and says which rows the mode
// cannot serve. The second multiplies codes with digits on the integer tensor cores (mma.sync m16n8k32): a warp takes a
// block of columns, folds its exact sums into one float an output, and the blocks are then added up in ascending order.
// The third, a thread an output, computes the rows that need mode `exact`.
#include "kernels/cuda/launchers.h"
#include "kernels/cuda/linear.cuh"
#include "kernels/cuda/ptx.cuh"

namespace fairopt::cuda {
namespace {

constexpr int kWarps = 8;  // in a thread block
constexpr int kTileRows = 16, kTokens = 8;
constexpr int kOwned = 16, kStrip = 4 * kOwned;  // columns of a thread, and of four, in a row
constexpr int kPlanes = 3;
constexpr int kLargestBlock = 32768;  // sums of a longer block might overflow int32: mode `exact`

/// Rows of x in fixed point.
struct Digits {
  std::int8_t* digits;  // [kPlanes, m, columns], planes that a mode does not have are 0
  std::int32_t* sums;   // [kPlanes, m, blocks], of the digits of a block
  float* steps;         // [m, blocks], what 1 stands for
  std::int32_t* exact;  // [m], whether the row needs mode `exact`
  std::int64_t m, columns, blocks;

  Digits(const QuantizedLayout& layout, std::int64_t tokens, void* workspace)
      : m(tokens), columns(ceil_div(layout.cols, kStrip) * kStrip), blocks(ceil_div(layout.cols, layout.block)) {
    digits = static_cast<std::int8_t*>(workspace);
    sums = reinterpret_cast<std::int32_t*>(digits + kPlanes * m * columns);
    steps = reinterpret_cast<float*>(sums + kPlanes * m * blocks);
    exact = reinterpret_cast<std::int32_t*>(steps + m * blocks);
  }
  std::size_t bytes() const { return reinterpret_cast<std::size_t>(exact + m) - reinterpret_cast<std::size_t>(digits); }
};

template <class T>
__device__ T sum_over_warp(T value) {
  for (int step = kWarp / 2; step > 0; step /= 2) value += __shfl_xor_sync(kAllLanes, value, step);
  return value;
}

/// By a warp: the largest magnitude of n values, and how far they spread: 0 narrow, 1 wide, 2 too far for any digits.
__device__ int spread(const Source& x, std::int64_t first, int n, float& amax) {
  const int lane = threadIdx.x % kWarp;
  bool finite = true;
  amax = 0.0f;
  for (int i = lane; i < n; i += kWarp) {
    const float magnitude = fabsf(x[first + i]);
    finite &= magnitude <= 3.402823466e38f;
    amax = fmaxf(amax, magnitude);
  }
  for (int step = kWarp / 2; step > 0; step /= 2) amax = fmaxf(amax, __shfl_xor_sync(kAllLanes, amax, step));
  if (!__all_sync(kAllLanes, finite)) return 2;
  if (amax == 0.0f) return 0;
  if (amax < 0x1p-80f) return 2;
  int extreme = 0, wide = 0, nonzero = 0;
  for (int i = lane; i < n; i += kWarp) {
    const float magnitude = fabsf(x[first + i]);
    extreme += magnitude > amax * 0x1p-12f;
    wide += magnitude > amax * 0x1p-6f;
    nonzero += magnitude != 0.0f;
  }
  extreme = sum_over_warp(extreme), wide = sum_over_warp(wide), nonzero = sum_over_warp(nonzero);
  const int few = (nonzero + 7) / 8;
  if (extreme < nonzero && extreme <= few) return 2;
  return wide < nonzero && wide <= few ? 1 : 0;
}

/// Where the digit of column `col` lies: the two halves of a byte of 4-bit codes are taken apart four bytes at a time.
__device__ int place(int col, int bits) { return bits == 4 ? col / 8 * 8 + col % 2 * 4 + col % 8 / 2 : col; }

/// By a warp: block `block` of row `token` in `planes` planes.
__device__ void write_block(const LinearProblem& p, const Digits& out, std::int64_t token, int block, int planes,
                            float amax) {
  const int first = block * p.w.s.block, n = static_cast<int>(min(std::int64_t{p.w.s.block}, p.w.s.cols - first));
  const float limit = planes == 1 ? 127.0f : planes == 2 ? 127.0f * 256.0f : 127.0f * 65536.0f;
  const float factor = amax == 0.0f ? 0.0f : __fdiv_rn(limit, amax);
  std::int32_t sums[kPlanes] = {};
  for (int i = threadIdx.x % kWarp; i < n; i += kWarp) {
    const float rounded = rintf(__fmul_rn(p.x[token * p.w.s.cols + first + i], factor));
    std::int32_t q = static_cast<std::int32_t>(fminf(fmaxf(rounded, -limit), limit));
#pragma unroll
    for (int plane = 0; plane < kPlanes; ++plane) {
      const std::int32_t digit = plane < planes - 1 ? static_cast<std::int8_t>(q & 255) : q;
      q = plane < planes - 1 ? (q - digit) >> 8 : 0;
      out.digits[(plane * out.m + token) * out.columns + place(first + i, p.w.codec.bits)] =
          static_cast<std::int8_t>(digit);
      sums[plane] += digit;
    }
  }
#pragma unroll
  for (int plane = 0; plane < kPlanes; ++plane) {
    const std::int32_t sum = sum_over_warp(sums[plane]);
    if (threadIdx.x % kWarp == 0) out.sums[(plane * out.m + token) * out.blocks + block] = sum;
  }
  if (threadIdx.x % kWarp == 0) out.steps[token * out.blocks + block] = __fdiv_rn(amax, limit);
}

/// A thread block a row of x.
__global__ void __launch_bounds__(kWarps* kWarp) digits_kernel(LinearProblem p, Digits out, int planes) {
  const std::int64_t token = blockIdx.x;
  const int warp = threadIdx.x / kWarp, blocks = static_cast<int>(out.blocks);
  __shared__ int row_spread;
  if (threadIdx.x == 0) row_spread = min(std::int64_t{p.w.s.block}, p.w.s.cols) > kLargestBlock ? 2 : 0;
  for (int i = threadIdx.x; i < kPlanes * (out.columns - p.w.s.cols); i += kWarps * kWarp) {  // beyond the row
    const int beyond = static_cast<int>(out.columns - p.w.s.cols), col = static_cast<int>(p.w.s.cols) + i % beyond;
    out.digits[(i / beyond * out.m + token) * out.columns + place(col, p.w.codec.bits)] = 0;
  }
  __syncthreads();
  const auto measure = [&](int block, float& amax) {
    const int first = block * p.w.s.block, n = static_cast<int>(min(std::int64_t{p.w.s.block}, p.w.s.cols - first));
    return spread(p.x, token * p.w.s.cols + first, n, amax);
  };
  float amax;
  for (int block = warp; block < blocks; block += kWarps) {
    const int found = measure(block, amax);
    if (threadIdx.x % kWarp == 0) atomicMax(&row_spread, found);
  }
  __syncthreads();
  if (threadIdx.x == 0) out.exact[token] = row_spread == 2;
  if (row_spread == 1 && planes == 2) planes = 3;
  for (int block = warp; block < blocks; block += kWarps) {
    measure(block, amax);
    write_block(p, out, token, block, planes, row_spread == 2 ? 0.0f : amax);
  }
}

/// Four 32-bit words of unsigned codes, of the 16 columns from `col` on in the order of place(); codes of 0 beyond.
template <int kBits>
__device__ __forceinline__ void load_codes(const Weight& w, std::int64_t row, int col, std::uint32_t (&words)[4]) {
  const std::uint8_t* source = w.codes + row * w.s.bytes_per_row + std::int64_t{col} / 8 * kBits;
  const std::int64_t left = (row + 1) * w.s.bytes_per_row - (source - w.codes);
  std::uint32_t bytes[kBits / 2];
#pragma unroll
  for (int i = 0; i < kBits / 2; ++i) {
    bytes[i] = 0;
    if (w.whole_words && 4 * i < left) {
      bytes[i] = __ldg(reinterpret_cast<const std::uint32_t*>(source) + i);
    } else {
      for (int b = 0; b < 4; ++b) bytes[i] |= 4 * i + b < left ? std::uint32_t{source[4 * i + b]} << 8 * b : 0;
    }
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    if constexpr (kBits == 4) {
      words[i] = bytes[i / 2] >> (i % 2 == 0 ? 4 : 0) & 0x0f0f0f0f;
    } else {
      words[i] = w.codec.rule == Rule::kSymNarrow ? bytes[i] ^ 0x80808080 : bytes[i];
    }
  }
}

/// What unsigned codes are too large by, but for the zero point.
__device__ inline int offset_of(const Codec& codec) {
  return codec.bits == 8 && codec.rule == Rule::kSymNarrow ? 128 : codec.offset;
}

/// By a warp: the sums of a block of columns, of 16 rows of W and 8 of x, folded into a float each.
template <int kBits>
__device__ void fold_block(const LinearProblem& p, const Digits& x, std::int64_t first_row, std::int64_t first_token,
                           int block, float (&folded)[kTileRows][kTokens + 1]) {
  const int lane = threadIdx.x % kWarp, cols = static_cast<int>(p.w.s.cols);
  const int begin = block * p.w.s.block, end = min(begin + p.w.s.block, cols);
  std::int64_t rows[2];
  for (int half = 0; half < 2; ++half) rows[half] = min(first_row + half * 8 + lane / 4, p.w.s.rows - 1);
  const std::int64_t token = min(first_token + lane / 4, p.m - 1);
  std::int32_t sums[kPlanes][4] = {};
  for (int strip = begin / kStrip * kStrip; strip < end; strip += kStrip) {
    const int col = strip + lane % 4 * kOwned;
    const bool mine = col >= begin && col < end;  // 16 columns lie in one block
    std::uint32_t codes[2][4] = {};
    if (mine) {
      for (int half = 0; half < 2; ++half) load_codes<kBits>(p.w, rows[half], col, codes[half]);
    }
#pragma unroll
    for (int plane = 0; plane < kPlanes; ++plane) {
      const auto* source = reinterpret_cast<const uint4*>(x.digits + (plane * x.m + token) * x.columns + col);
      const uint4 d = mine ? __ldg(source) : uint4{0, 0, 0, 0};
      ptx::mma_16x8x32<std::uint8_t>(sums[plane], {codes[0][0], codes[1][0], codes[0][1], codes[1][1]}, d.x, d.y);
      ptx::mma_16x8x32<std::uint8_t>(sums[plane], {codes[0][2], codes[1][2], codes[0][3], codes[1][3]}, d.z, d.w);
    }
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const std::int64_t row = rows[i / 2], other = min(first_token + lane % 4 * 2 + i % 2, p.m - 1);
    int excess = offset_of(p.w.codec);
    if (p.w.zeros != nullptr) excess += p.w.zeros[row * p.w.s.blocks_per_row + block];
    float f = 0.0f;
#pragma unroll
    for (int plane = kPlanes - 1; plane >= 0; --plane) {
      const std::int32_t sum = sums[plane][i] - excess * x.sums[(plane * x.m + other) * x.blocks + block];
      f = fmaf(f, 256.0f, static_cast<float>(sum));
    }
    folded[i / 2 * 8 + lane / 4][lane % 4 * 2 + i % 2] = f;
  }
}

template <int kBits>
__global__ void __launch_bounds__(kWarps* kWarp) planes_kernel(LinearProblem p, Digits x) {
  __shared__ float folded[kWarps][kTileRows][kTokens + 1];
  const std::int64_t first_row = std::int64_t{blockIdx.y} * kTileRows, first_token = std::int64_t{blockIdx.x} * kTokens;
  const int warp = threadIdx.x / kWarp, blocks = static_cast<int>(x.blocks);
  const int row = threadIdx.x % kTileRows, token = threadIdx.x / kTileRows;  // of the output that a thread adds up
  const bool adds = token < kTokens && first_row + row < p.w.s.rows && first_token + token < p.m;
  float sum = 0.0f;
  for (int first = 0; first < blocks; first += kWarps) {
    if (first + warp < blocks) fold_block<kBits>(p, x, first_row, first_token, first + warp, folded[warp]);
    __syncthreads();
    for (int i = 0; adds && i < min(kWarps, blocks - first); ++i) {
      const std::int64_t at = (first_row + row) * x.blocks + first + i,
                         there = (first_token + token) * x.blocks + first + i;
      const float step = x.steps[there];
      sum = fmaf(folded[i][row][token], __fmul_rn(p.w.scales[at], step), sum);
      if (p.w.float_zeros != nullptr) {
        float ones = 0.0f;
        for (int plane = kPlanes - 1; plane >= 0; --plane) {
          ones = fmaf(ones, 256.0f, static_cast<float>(x.sums[plane * x.m * x.blocks + there]));
        }
        sum = fmaf(ones, __fmul_rn(p.w.float_zeros[at], step), sum);
      }
    }
    __syncthreads();
  }
  if (adds && x.exact[first_token + token] == 0) p.finish(first_token + token, first_row + row, sum);
}

/// The unscaled value of a code of 4 or 8 bits.
__device__ float value_at(const Weight& w, const std::uint8_t* codes, int col) {
  return w.codec.value(w.codec.bits == 8 ? codes[col] : codes[col / 2] >> (col % 2 == 0 ? 4 : 0) & 15);
}

/// Rows of x that need mode `exact`: a thread an output, in the CPU's order.
__global__ void __launch_bounds__(kWarps* kWarp) exact_kernel(LinearProblem p, const std::int32_t* exact) {
  constexpr int kRun = 64;
  constexpr unsigned kOrder = 0x57134602;  // of eight columns of 4 bits: 2, 0, 6, 4, 3, 1, 7, 5
  const std::int64_t token = blockIdx.x, row = std::int64_t{blockIdx.y} * blockDim.x + threadIdx.x;
  if (exact[token] == 0 || row >= p.w.s.rows) return;
  const std::uint8_t* codes = p.w.codes + row * p.w.s.bytes_per_row;
  const std::int64_t x0 = token * p.w.s.cols;
  const int cols = static_cast<int>(p.w.s.cols);
  float sum = 0.0f;
  for (int begin = 0, block = 0; begin < cols; begin += p.w.s.block, ++block) {
    const int n = min(p.w.s.block, cols - begin);
    const std::int64_t at = row * p.w.s.blocks_per_row + block;
    const float scale = p.w.scales[at];
    float x_sum = 0.0f;
    for (int i = 0; i < n; ++i) x_sum = __fadd_rn(x_sum, p.x[x0 + begin + i]);
    for (int run = 0; run < n; run += kRun) {
      float chain = 0.0f;
      for (int i = run; i < run + kRun; ++i) {
        const int k = p.w.codec.bits == 8 ? i : i / 8 * 8 + static_cast<int>(kOrder >> i % 8 * 4 & 15);
        if (k < n) chain = fmaf(value_at(p.w, codes, begin + k), p.x[x0 + begin + k], chain);
      }
      sum = fmaf(chain, scale, sum);
    }
    if (p.w.has_zeros()) sum = fmaf(p.w.shift(at, scale), x_sum, sum);
  }
  p.finish(token, row, sum);
}

template <int kBits>
void launch_planes(const LinearProblem& p, const Digits& digits, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>(ceil_div(p.m, kTokens)),
                  static_cast<unsigned>(ceil_div(p.w.s.rows, kTileRows)));
  launch_kernel(planes_kernel<kBits>, grid, kWarps * kWarp, 0, stream, p, digits);
}

}  // namespace
}  // namespace fairopt::cuda

std::size_t fairopt_cuda_planes_bytes(const fairopt::QuantizedLayout* layout, std::int64_t m) {
  return fairopt::cuda::Digits(*layout, m, nullptr).bytes();
}

int fairopt_cuda_planes_linear(const fairopt::cuda::QuantizedLinearArgs* args, int planes, void* workspace, int device,
                               void* stream) {
  using namespace fairopt::cuda;
  const int bits = fairopt::formats::kSpecs[static_cast<int>(args->layout.format)].bits;
  constexpr std::int64_t kMaxRows = 65535 * kTileRows;  // of a grid
  if (args->layout.cols > kMaxCols || args->layout.rows > kMaxRows || (bits != 4 && bits != 8)) {
    return cudaErrorInvalidValue;
  }
  if (args->m == 0 || args->layout.rows == 0) return cudaSuccess;
  return on_device(device, stream, [&](cudaStream_t s) {
    const LinearProblem p(*args);
    const Digits digits(args->layout, args->m, workspace);
    launch_kernel(digits_kernel, static_cast<unsigned>(p.m), kWarps * kWarp, 0, s, p, digits, planes);
    if (bits == 4) {
      launch_planes<4>(p, digits, s);
    } else {
      launch_planes<8>(p, digits, s);
    }
    const dim3 grid(static_cast<unsigned>(p.m), static_cast<unsigned>(ceil_div(p.w.s.rows, kWarps * kWarp)));
    launch_kernel(exact_kernel, grid, kWarps * kWarp, 0, s, p, digits.exact);
  });
}
