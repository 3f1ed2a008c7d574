// dynamic_int8_linear on CUDA, to the CPU's bits. A first kernel rounds every token to int8 and lists the columns of
// its outliers. The second multiplies codes with codes on the integer tensor cores (mma.sync m16n8k32): the warps of a
// thread block share 16 rows of W and take turns at their columns; sums are exact, so their order is free.
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/launchers.h"
#include "kernels/cuda/ptx.cuh"

namespace fairopt::cuda {
namespace {

constexpr int kTokenThreads = 512;
constexpr int kWarps = 8;  // of a product's thread block
constexpr int kTileRows = 16, kTokens = 8;
constexpr int kOwned = 16, kStrip = 4 * kOwned;  // columns of a thread, and of four, in a row
constexpr int kStrips = 4;                       // on their way at once
constexpr float kLargestCode = 127.0f;

/// Tokens as int8, and the columns of each whose values stay as they are, in ascending order.
struct Tokens {
  std::int8_t* codes;      // [m, stride], 0 after column k
  float* scales;           // [m]
  std::int32_t* counts;    // [m]
  std::int32_t* outliers;  // [m, k]
  std::int64_t stride;

  Tokens(std::int64_t m, std::int64_t k, void* workspace) : stride(ceil_div(k, kStrip) * kStrip) {
    codes = static_cast<std::int8_t*>(workspace);
    scales = reinterpret_cast<float*>(codes + m * stride);
    counts = reinterpret_cast<std::int32_t*>(scales + m);
    outliers = counts + m;
  }
  std::size_t bytes(std::int64_t m, std::int64_t k) const {
    return reinterpret_cast<std::size_t>(outliers + m * k) - reinterpret_cast<std::size_t>(codes);
  }
};

/// Of all threads' values the largest, known to all.
__device__ float largest_of_block(float value) {
  __shared__ float of_warp[kTokenThreads / kWarp];
  for (int step = kWarp / 2; step > 0; step /= 2) value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, step));
  if (threadIdx.x % kWarp == 0) of_warp[threadIdx.x / kWarp] = value;
  __syncthreads();
  for (const float other : of_warp) value = fmaxf(value, other);
  return value;
}

/// The columns of a token's outliers, in order: a thread's place is after those of the threads before it.
__device__ void list_outliers(const Source& x, std::int64_t first, int k, float threshold, std::int32_t* columns,
                              std::int32_t* count) {
  __shared__ int of_warp[kTokenThreads / kWarp];
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  int listed = 0;
  for (int begin = 0; begin < k; begin += kTokenThreads) {
    const int i = begin + static_cast<int>(threadIdx.x);
    const bool outlier = i < k && !(fabsf(x[first + i]) < threshold);
    const unsigned lanes = __ballot_sync(kAllLanes, outlier);
    if (lane == 0) of_warp[warp] = __popc(lanes);
    __syncthreads();
    int before = listed;
    for (int other = 0; other < kTokenThreads / kWarp; ++other) {
      if (other < warp) before += of_warp[other];
      listed += of_warp[other];
    }
    if (outlier) columns[before + __popc(lanes & ((1u << lane) - 1))] = i;
    __syncthreads();
  }
  if (threadIdx.x == 0) *count = listed;
}

/// A thread block a token.
__global__ void __launch_bounds__(kTokenThreads) tokens_kernel(DynamicInt8Args a, Tokens out) {
  const std::int64_t token = blockIdx.x, first = token * a.k;
  const int k = static_cast<int>(a.k);
  const Source x{a.x, a.dtype};
  float amax = 0.0f;
  bool finite = true;
  for (int i = threadIdx.x; i < k; i += kTokenThreads) {
    const float magnitude = fabsf(x[first + i]);
    finite &= magnitude <= 3.402823466e38f;
    if (magnitude < a.threshold) amax = fmaxf(amax, magnitude);
  }
  finite = __syncthreads_and(finite);
  const float scale = finite ? __fdiv_rn(largest_of_block(amax), kLargestCode) : __int_as_float(0x7fffffff);
  if (threadIdx.x == 0) out.scales[token] = scale;
  for (int i = threadIdx.x; i < out.stride; i += kTokenThreads) {
    const float value = i < k ? x[first + i] : 0.0f;
    float steps = 0.0f;
    if (scale > 0.0f && fabsf(value) < a.threshold) steps = rintf(__fdiv_rn(value, scale));
    steps = fminf(fmaxf(steps, -kLargestCode), kLargestCode);
    out.codes[token * out.stride + i] = static_cast<std::int8_t>(steps);
  }
  if (isinf(a.threshold)) {
    if (threadIdx.x == 0) out.counts[token] = 0;
    return;
  }
  list_outliers(x, first, k, a.threshold, out.outliers + first, out.counts + token);
}

/// 16 codes of a row from column `col` on, 0 beyond its end. `whole`: rows start on 16 bytes.
__device__ __forceinline__ uint4 load_codes(const std::int8_t* row, int col, int k, bool whole) {
  if (whole) return col < k ? __ldg(reinterpret_cast<const uint4*>(row + col)) : uint4{0, 0, 0, 0};
  __align__(16) std::int8_t codes[kOwned];
#pragma unroll
  for (int i = 0; i < kOwned; ++i) codes[i] = col + i < k ? row[col + i] : 0;
  return *reinterpret_cast<const uint4*>(codes);
}

/// A thread's share of the sums of a tile, over the strips of its warp.
template <int kTokenTiles>
__device__ void multiply_rows(const DynamicInt8Args& a, const Tokens& x, std::int64_t first_row,
                              std::int64_t first_token, std::int32_t (&sums)[kTokenTiles][4]) {
  const int lane = threadIdx.x % kWarp, k = static_cast<int>(a.k);
  const bool whole = k % kOwned == 0 && reinterpret_cast<std::uintptr_t>(a.codes) % kOwned == 0;
  const std::int8_t *rows[2], *tokens[kTokenTiles];
  for (int half = 0; half < 2; ++half) {  // beyond the last: that again, but not written
    rows[half] = a.codes + min(first_row + half * 8 + lane / 4, a.n - 1) * a.k;
  }
  for (int t = 0; t < kTokenTiles; ++t) {
    tokens[t] = x.codes + min(first_token + t * kTokens + lane / 4, a.m - 1) * x.stride;
  }
  const auto strips = static_cast<int>(x.stride / kStrip);
  for (int strip = static_cast<int>(threadIdx.x) / kWarp; strip < strips; strip += kWarps * kStrips) {
    uint4 codes[kStrips][2];
#pragma unroll
    for (int i = 0; i < kStrips; ++i) {
      const int col = (strip + i * kWarps) * kStrip + lane % 4 * kOwned;
      codes[i][0] = load_codes(rows[0], col, k, whole), codes[i][1] = load_codes(rows[1], col, k, whole);
    }
#pragma unroll
    for (int i = 0; i < kStrips; ++i) {
      if (strip + i * kWarps >= strips) break;
      const int col = (strip + i * kWarps) * kStrip + lane % 4 * kOwned;
      const uint4 upper = codes[i][0], lower = codes[i][1];
#pragma unroll
      for (int t = 0; t < kTokenTiles; ++t) {
        const uint4 b = __ldg(reinterpret_cast<const uint4*>(tokens[t] + col));
        ptx::mma_16x8x32<std::int8_t>(sums[t], {upper.x, lower.x, upper.y, lower.y}, b.x, b.y);
        ptx::mma_16x8x32<std::int8_t>(sums[t], {upper.z, lower.z, upper.w, lower.w}, b.z, b.w);
      }
    }
  }
}

/// Every operation rounds once, in the order of the CPU's kernels.
__device__ void finish(const DynamicInt8Args& a, const Tokens& x, std::int64_t token, std::int64_t row,
                       std::int32_t sum) {
  const float scale = a.scales[row];
  float value = __fmul_rn(__fmul_rn(scale, x.scales[token]), static_cast<float>(sum));
  const int count = x.counts[token];
  if (count > 0) {
    const Source source{a.x, a.dtype};
    const std::int32_t* columns = x.outliers + token * a.k;
    float outliers = 0.0f;
    for (int i = 0; i < count; ++i) {
      const auto code = static_cast<float>(a.codes[row * a.k + columns[i]]);
      outliers = __fadd_rn(outliers, __fmul_rn(source[token * a.k + columns[i]], code));
    }
    value = __fadd_rn(value, __fmul_rn(scale, outliers));
  }
  if (a.bias != nullptr) value = __fadd_rn(value, Source{a.bias, a.dtype}[row]);
  Target{a.y, a.dtype}.set(token * a.n + row, value);
}

template <int kTokenTiles>
__global__ void __launch_bounds__(kWarps* kWarp) product_kernel(DynamicInt8Args a, Tokens x) {
  constexpr int kColumns = kTokenTiles * kTokens;
  __shared__ std::int32_t all[kWarps][kTileRows][kColumns + 1];
  const std::int64_t first_row = std::int64_t{blockIdx.y} * kTileRows,
                     first_token = std::int64_t{blockIdx.x} * kColumns;
  std::int32_t sums[kTokenTiles][4] = {};
  multiply_rows<kTokenTiles>(a, x, first_row, first_token, sums);
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
#pragma unroll
  for (int t = 0; t < kTokenTiles; ++t) {
#pragma unroll
    for (int i = 0; i < 4; ++i) all[warp][i / 2 * 8 + lane / 4][t * kTokens + lane % 4 * 2 + i % 2] = sums[t][i];
  }
  __syncthreads();
  for (int i = threadIdx.x; i < kTileRows * kColumns; i += kWarps * kWarp) {
    const int row = i % kTileRows, token = i / kTileRows;
    std::int32_t sum = 0;
#pragma unroll
    for (int source = 0; source < kWarps; ++source) sum += all[source][row][token];
    if (first_row + row < a.n && first_token + token < a.m) finish(a, x, first_token + token, first_row + row, sum);
  }
}

template <int kTokenTiles>
void launch_product(const DynamicInt8Args& a, const Tokens& tokens, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>(ceil_div(a.m, kTokenTiles * kTokens)),
                  static_cast<unsigned>(ceil_div(a.n, kTileRows)));
  launch_kernel(product_kernel<kTokenTiles>, grid, kWarps * kWarp, 0, stream, a, tokens);
}

}  // namespace
}  // namespace fairopt::cuda

std::size_t fairopt_cuda_dynamic_int8_bytes(std::int64_t m, std::int64_t k) {
  return fairopt::cuda::Tokens(m, k, nullptr).bytes(m, k);
}

int fairopt_cuda_dynamic_int8_linear(const fairopt::cuda::DynamicInt8Args* args, void* workspace, int device,
                                     void* stream) {
  using namespace fairopt::cuda;
  constexpr std::int64_t kMostRows = 65535 * kTileRows;  // of a grid
  if (args->n > kMostRows) return cudaErrorInvalidValue;
  if (args->m == 0 || args->n == 0) return cudaSuccess;
  return on_device(device, stream, [&](cudaStream_t s) {
    const Tokens tokens(args->m, args->k, workspace);
    launch_kernel(tokens_kernel, static_cast<unsigned>(args->m), kTokenThreads, 0, s, *args, tokens);
    if (args->m <= kTokens) {
      launch_product<1>(*args, tokens, s);
    } else {
      launch_product<4>(*args, tokens, s);
    }
  });
}
