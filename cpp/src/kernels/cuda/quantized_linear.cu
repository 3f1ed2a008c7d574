// quantized_linear on CUDA, in two shapes. Up to 8 rows of x the weight is what must be read, so every warp streams
// rows of it past an x that waits in shared memory. Above, a tile of the weight is dequantised once for 64 rows of x.
// Both multiply x with exactly the fp32 weights that dequantize gives and accumulate in fp32 FMA.
#include "kernels/cuda/codec.cuh"
#include "kernels/cuda/launchers.h"

namespace fairopt::cuda {
namespace {

struct Problem {
  Source x;  // [m, cols]
  std::int64_t m;
  QuantizedView weight;
  Shape s;      // [rows, cols]
  Source bias;  // [rows], or no data
  Target y;     // [m, rows]

  __device__ void finish(std::int64_t i, std::int64_t row, float sum) const {
    y.set(i * s.rows + row, bias.data == nullptr ? sum : sum + bias[row]);
  }
};

/// Codes to weights, which are exactly what dequantize gives. The codebook lies in shared memory, a copy a lane, so
/// that no two lanes meet in a bank; formats without one compute their values.
template <Format kFormat>
struct Decoder {
  using C = Codec<kFormat>;
  float codebook[C::kHasCodebook ? 16 : 1][kWarp];

  /// By all threads of the block; to be followed by __syncthreads().
  __device__ void stage() {
    if constexpr (C::kHasCodebook) {
      for (int i = threadIdx.x; i < 16 * kWarp; i += blockDim.x)
        codebook[i / kWarp][i % kWarp] = C::value(i / kWarp, 0);
    }
  }
  __device__ float weight(int code, BlockParameters block) const {
    const float value = C::kHasCodebook ? codebook[code][threadIdx.x % kWarp] : C::value(code, block.zero);
    return __fmul_rn(value, block.scale);
  }
};

// ---- up to 8 rows of x ----

constexpr int kMaxVectors = 8;
constexpr int kWarps = 4;        // in a thread block; they share the staged x
constexpr int kRowsPerWarp = 2;  // of the weight: a value of x is fetched once for both
constexpr int kRun = 32;         // consecutive columns of a lane: one or two 128-bit loads of codes
constexpr int kHalf = 16;        // of which each half lies in one block (blocks are multiples of 16)
constexpr int kChunk = kWarp * kRun;

/// The codes of a lane's run.
template <int kBits>
struct RunCodes {
  static constexpr int kBytes = kRun * kBits / 8;
  std::uint32_t words[kBytes / 4];

  /// `vector`: rows start on 16 bytes. Bytes beyond the row read as 0; the x they would meet is staged as 0.
  __device__ void load(const std::uint8_t* row, std::int64_t first, std::int64_t end, bool vector) {
    if (vector && first + kBytes <= end) {
      const uint4* source = reinterpret_cast<const uint4*>(row + first);
#pragma unroll
      for (int i = 0; i < kBytes / 16; ++i) {
        const uint4 v = __ldcs(source + i);  // read once: do not keep it in the caches
        words[4 * i] = v.x, words[4 * i + 1] = v.y, words[4 * i + 2] = v.z, words[4 * i + 3] = v.w;
      }
      return;
    }
#pragma unroll
    for (int i = 0; i < kBytes / 4; ++i) {
      std::uint32_t word = 0;
#pragma unroll 1
      for (int b = 0; b < 4; ++b) {
        const std::int64_t at = first + 4 * i + b;
        if (at < end) word |= std::uint32_t{row[at]} << 8 * b;
      }
      words[i] = word;
    }
  }

  __device__ int code(int i) const {
    if constexpr (kBits == 8) {
      return words[i / 4] >> 8 * (i % 4) & 0xff;
    } else {
      const int byte_shift = 8 * (i / 2 % 4);
      return words[i / 8] >> (byte_shift + (i % 2 == 0 ? formats::kHighNibbleShift : 0)) & 0xf;
    }
  }
};

/// Where column c of a chunk lies in shared memory: within a lane's run the groups of four are permuted by the lane, so
/// that eight lanes reading their j-th group meet eight different groups of banks.
__device__ inline int staged(int lane, int group) { return lane * kRun + 4 * (group ^ (lane & 7)); }

template <int kVectors>
__device__ void stage_x(const Problem& p, std::int64_t first, float (&staged_x)[kVectors][kChunk]) {
  for (int i = threadIdx.x; i < kVectors * kChunk; i += kWarps * kWarp) {
    const int vector = i / kChunk, c = i % kChunk;
    const bool inside = vector < p.m && first + c < p.s.cols;
    staged_x[vector][staged(c / kRun, c % kRun / 4) + c % 4] = inside ? p.x[vector * p.s.cols + first + c] : 0.0f;
  }
}

/// sums += weights of one half run, times the staged x.
template <Format kFormat, int kVectors>
__device__ __forceinline__ void accumulate(const RunCodes<Codec<kFormat>::kBits> (&codes)[kRowsPerWarp], int half,
                                           const BlockParameters (&block)[kRowsPerWarp],
                                           const Decoder<kFormat>& decoder, const float (&x)[kVectors][kChunk],
                                           float (&sums)[kRowsPerWarp][kVectors]) {
  const int lane = threadIdx.x % kWarp;
#pragma unroll
  for (int group = half * kHalf / 4; group < (half + 1) * kHalf / 4; ++group) {
    float w[kRowsPerWarp][4];
#pragma unroll
    for (int r = 0; r < kRowsPerWarp; ++r) {
#pragma unroll
      for (int j = 0; j < 4; ++j) w[r][j] = decoder.weight(codes[r].code(4 * group + j), block[r]);
    }
#pragma unroll
    for (int v = 0; v < kVectors; ++v) {
      const float4 xs = *reinterpret_cast<const float4*>(&x[v][staged(lane, group)]);
#pragma unroll
      for (int r = 0; r < kRowsPerWarp; ++r) {
        sums[r][v] = fmaf(w[r][0], xs.x, sums[r][v]);
        sums[r][v] = fmaf(w[r][1], xs.y, sums[r][v]);
        sums[r][v] = fmaf(w[r][2], xs.z, sums[r][v]);
        sums[r][v] = fmaf(w[r][3], xs.w, sums[r][v]);
      }
    }
  }
}

template <Format kFormat, int kVectors>
__global__ void __launch_bounds__(kWarps* kWarp) vector_kernel(Problem p, bool vector_loads) {
  constexpr int kBits = Codec<kFormat>::kBits;
  __shared__ __align__(16) float x[kVectors][kChunk];
  __shared__ Decoder<kFormat> decoder;
  decoder.stage();
  const int lane = threadIdx.x % kWarp;
  const std::int64_t first_row = (std::int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarp) * kRowsPerWarp;
  const auto row = [&](int r) { return min(first_row + r, p.s.rows - 1); };  // beyond the last: again, but not written
  float sums[kRowsPerWarp][kVectors] = {};

  for (std::int64_t chunk = 0; chunk < p.s.cols; chunk += kChunk) {
    const std::int64_t first = chunk + lane * kRun;
    RunCodes<kBits> codes[kRowsPerWarp];  // on their way while x is staged
#pragma unroll
    for (int r = 0; r < kRowsPerWarp; ++r) {
      codes[r].load(p.weight.codes + row(r) * p.s.bytes_per_row, first * kBits / 8, p.s.bytes_per_row, vector_loads);
    }
    __syncthreads();  // the chunk of x before this one has been used
    stage_x<kVectors>(p, chunk, x);
    __syncthreads();
#pragma unroll
    for (int half = 0; half < kRun / kHalf; ++half) {
      const std::int64_t col = first + half * kHalf;
      BlockParameters block[kRowsPerWarp] = {};  // beyond the row: weights of 0
#pragma unroll
      for (int r = 0; r < kRowsPerWarp; ++r) {
        if (col < p.s.cols) block[r] = block_at<kFormat>(p.weight, p.s, row(r), col);
      }
      accumulate<kFormat, kVectors>(codes, half, block, decoder, x, sums);
    }
  }
#pragma unroll
  for (int r = 0; r < kRowsPerWarp; ++r) {
#pragma unroll
    for (int v = 0; v < kVectors; ++v) {
      float sum = sums[r][v];
      for (int step = kWarp / 2; step > 0; step /= 2) sum += __shfl_xor_sync(kAllLanes, sum, step);
      if (lane == 0 && v < p.m && first_row + r < p.s.rows) p.finish(v, first_row + r, sum);
    }
  }
}

template <Format kFormat>
void launch_vectors(const Problem& p, cudaStream_t stream) {
  const bool vector_loads = reinterpret_cast<std::uintptr_t>(p.weight.codes) % 16 == 0 && p.s.bytes_per_row % 16 == 0;
  const auto grid = static_cast<unsigned>(ceil_div(p.s.rows, kWarps * kRowsPerWarp));
  const auto launch = [&](auto kernel) { kernel<<<grid, kWarps * kWarp, 0, stream>>>(p, vector_loads); };
  if (p.m == 1) {
    launch(vector_kernel<kFormat, 1>);
  } else if (p.m <= 4) {
    launch(vector_kernel<kFormat, 4>);
  } else {
    launch(vector_kernel<kFormat, kMaxVectors>);
  }
}

// ---- more rows of x ----

constexpr int kTile = 64;   // rows of x and rows of the weight a thread block
constexpr int kDepth = 32;  // columns staged at a time
constexpr int kEdge = 4;    // a thread computes 4 x 4 outputs
constexpr int kTileThreads = kTile * kTile / (kEdge * kEdge);
constexpr int kStaged = kTile * kDepth / kTileThreads;  // consecutive columns that a thread stages of each operand
static_assert(kStaged == 8, "a staged run must lie in one block of weights");

using StagedTile = float[kDepth][kTile];

/// Columns first .. first + 31 of 64 rows of x and of the weight, as fp32, zero outside.
template <Format kFormat>
__device__ void stage_tiles(const Problem& p, const Decoder<kFormat>& decoder, std::int64_t x_row, std::int64_t w_row,
                            std::int64_t first, StagedTile& x, StagedTile& w) {
  const int row = threadIdx.x % kTile, depth = threadIdx.x / kTile * kStaged;
  x_row += row, w_row += row, first += depth;
  const bool has_weight = w_row < p.s.rows && first < p.s.cols;
  const BlockParameters block = has_weight ? block_at<kFormat>(p.weight, p.s, w_row, first) : BlockParameters{0.0f, 0};
  const std::uint8_t* codes = p.weight.codes + w_row * p.s.bytes_per_row;
  for (int i = 0; i < kStaged; ++i) {
    const std::int64_t col = first + i;
    const bool inside = col < p.s.cols;
    x[depth + i][row] = inside && x_row < p.m ? p.x[x_row * p.s.cols + col] : 0.0f;
    w[depth + i][row] = inside && has_weight ? decoder.weight(code_at<Codec<kFormat>::kBits>(codes, col), block) : 0.0f;
  }
}

template <Format kFormat>
__global__ void __launch_bounds__(kTileThreads) tiled_kernel(Problem p) {
  __shared__ __align__(16) StagedTile x, w;
  __shared__ Decoder<kFormat> decoder;
  decoder.stage();
  __syncthreads();
  const std::int64_t tiles_across = ceil_div(p.s.rows, kTile);
  const std::int64_t x_row = blockIdx.x / tiles_across * kTile, w_row = blockIdx.x % tiles_across * kTile;
  const int i0 = threadIdx.x / (kTile / kEdge) * kEdge, j0 = threadIdx.x % (kTile / kEdge) * kEdge;
  float sums[kEdge][kEdge] = {};
  for (std::int64_t first = 0; first < p.s.cols; first += kDepth) {
    stage_tiles<kFormat>(p, decoder, x_row, w_row, first, x, w);
    __syncthreads();
    for (int k = 0; k < kDepth; ++k) {
      const float4 a = *reinterpret_cast<const float4*>(&x[k][i0]), b = *reinterpret_cast<const float4*>(&w[k][j0]);
      const float xs[kEdge] = {a.x, a.y, a.z, a.w}, ws[kEdge] = {b.x, b.y, b.z, b.w};
#pragma unroll
      for (int i = 0; i < kEdge; ++i) {
#pragma unroll
        for (int j = 0; j < kEdge; ++j) sums[i][j] = fmaf(xs[i], ws[j], sums[i][j]);
      }
    }
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < kEdge; ++i) {
#pragma unroll
    for (int j = 0; j < kEdge; ++j) {
      if (x_row + i0 + i < p.m && w_row + j0 + j < p.s.rows) p.finish(x_row + i0 + i, w_row + j0 + j, sums[i][j]);
    }
  }
}

template <Format kFormat>
void launch_tiles(const Problem& p, cudaStream_t stream) {
  const std::int64_t tiles = ceil_div(p.m, kTile) * ceil_div(p.s.rows, kTile);
  tiled_kernel<kFormat><<<static_cast<unsigned>(tiles), kTileThreads, 0, stream>>>(p);
}

}  // namespace
}  // namespace fairopt::cuda

int fairopt_cuda_quantized_linear(const fairopt::cuda::QuantizedLinearArgs* args, int device, void* stream) {
  using namespace fairopt::cuda;
  if (args->layout.cols > kMaxCols || args->layout.rows > kMaxCols || args->m > kMaxCols) return cudaErrorInvalidValue;
  if (args->m == 0 || args->layout.rows == 0) return cudaSuccess;
  return on_device(device, stream, [&](cudaStream_t s) {
    for_format(args->layout.format, [&]<fairopt::Format kFormat>() {
      const Problem p{{args->x, args->dtype},
                      args->m,
                      args->weight,
                      shape(args->layout, Codec<kFormat>::kBits),
                      {args->bias, args->dtype},
                      {args->y, args->dtype}};
      if (p.m <= kMaxVectors) {
        launch_vectors<kFormat>(p, s);
      } else {
        launch_tiles<kFormat>(p, s);
      }
    });
  });
}
