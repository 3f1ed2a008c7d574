// quantized_linear for up to 8 rows of x of any type, in fp32. The weight is what must be read: a warp streams four
// rows of it at once past an x that waits in shared memory, and the columns of a row are spread over as many warps as
// it takes to keep the memory busy. The order of a sum depends on the number of columns alone.
#include "kernels/cuda/linear.cuh"
#include "kernels/cuda/lookup.cuh"

namespace fairopt::cuda {
namespace {

constexpr int kWarps = 16;            // in a thread block
constexpr int kChunk = kWarp * kRun;  // columns that a warp takes at once
constexpr int kMaxTasks = 128;        // rows of a block times chunks staged, over the rows of a warp

/// Rows of W that a warp takes at once: a value of x is fetched once for all.
template <int kBits>
constexpr int kRows = kBits <= 4 ? 4 : 2;

template <int kBits, int kVectors>
struct Shared {
  static constexpr int kBlocks = kVectors == 1 ? 2 : 1;  // on a multiprocessor
  static constexpr int kChunks = kVectors == 1 ? 8 : 4;  // staged at once
  Lookup<kBits> table;
  float x[kVectors][kChunks * kChunk];
  float partial[kMaxTasks][kRows<kBits>][kVectors];
  float total[kMaxTasks * kRows<kBits>][kVectors];
};

/// Where group `group` of four columns of a lane's run lies in a staged chunk: the groups are permuted by the lane, so
/// that eight lanes reading their j-th group meet eight different groups of banks.
__device__ inline int staged(int lane, int group) { return lane * kRun + 4 * (group ^ (lane & 7)); }

template <int kVectors, int kColumns>
__device__ void stage_x(const LinearProblem& p, int first, float (&x)[kVectors][kColumns]) {
  const int cols = static_cast<int>(p.w.s.cols),
            chunks = min(kColumns, static_cast<int>(ceil_div(cols - first, kChunk)) * kChunk);
#pragma unroll
  for (int vector = 0; vector < kVectors; ++vector) {
    const std::int64_t row = std::int64_t{vector} * cols + first;
    for (int c = threadIdx.x; c < chunks; c += kWarps * kWarp) {
      const int at = c % kChunk;
      x[vector][c - at + staged(at / kRun, at % kRun / 4) + at % 4] =
          vector < p.m && first + c < cols ? p.x[row + c] : 0.0f;
    }
  }
}

/// kCount values of every lane -> their sums over the warp, of which lane i holds number i * kCount / 32.
template <int kCount, int kStep = kWarp / 2>
__device__ __forceinline__ float sum_over_warp(const float (&values)[kCount]) {
  if constexpr (kStep == 0) {
    return values[0];
  } else if constexpr (kCount == 1) {
    const float sum[1] = {values[0] + __shfl_xor_sync(kAllLanes, values[0], kStep)};
    return sum_over_warp<1, kStep / 2>(sum);
  } else {
    const bool upper = (threadIdx.x & kStep) != 0;
    float kept[kCount / 2];  // a lane keeps the half that it will answer for
#pragma unroll
    for (int i = 0; i < kCount / 2; ++i) {
      const float low = values[i], high = values[kCount / 2 + i];
      kept[i] = (upper ? high : low) + __shfl_xor_sync(kAllLanes, upper ? low : high, kStep);
    }
    return sum_over_warp<kCount / 2, kStep / 2>(kept);
  }
}

/// What a lane reads of the rows of W at once.
template <int kBits>
struct Run {
  static constexpr int kR = kRows<kBits>;
  RunCodes<kBits> codes[kR];
  float scales[2][kR], shifts[2][kR];  // of the two halves, 0 beyond the row

  __device__ __forceinline__ void load(const Weight& w, std::int64_t first_row, int first) {
#pragma unroll
    for (int r = 0; r < kR; ++r) {
      const std::int64_t row = min(first_row + r, w.s.rows - 1);  // beyond the last: again, but not written
      codes[r].load(w.codes + row * w.s.bytes_per_row, first / 8 * kBits, w.s.bytes_per_row, w.whole_words);
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const bool inside = first + half * kHalf < w.s.cols;
        const std::int64_t at = row * w.s.blocks_per_row + block_of(w.s, first + half * kHalf);
        scales[half][r] = inside ? __ldg(w.scales + at) : 0.0f;
        shifts[half][r] = inside && w.has_zeros() ? w.shift(at, scales[half][r]) : 0.0f;
      }
    }
  }
};

/// sums += scale * sum of codes' values times x, plus shift * sum of x, of a lane's run.
template <int kBits, int kVectors>
__device__ __forceinline__ void multiply_run(const Run<kBits>& run, bool has_zeros, const Lookup<kBits>& table,
                                             const float (*x)[Shared<kBits, kVectors>::kChunks * kChunk],
                                             float (&sums)[kRows<kBits> * kVectors]) {
  constexpr int kR = kRows<kBits>, kPer = Lookup<kBits>::kValues;
  const int lane = threadIdx.x % kWarp;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float dots[kR][kVectors] = {}, x_sums[kVectors] = {};
#pragma unroll
    for (int group = half * kHalf / 4; group < (half + 1) * kHalf / 4; ++group) {
      float value[kR][4];
#pragma unroll
      for (int r = 0; r < kR; ++r) {
#pragma unroll
        for (int j = 0; j < 4; j += kPer) {
          const auto entry = table[run.codes[r].template index<Lookup<kBits>::kIndexBits>((4 * group + j) / kPer)];
          if constexpr (kPer == 2) {
            value[r][j] = entry.x, value[r][j + 1] = entry.y;
          } else {
            value[r][j] = entry;
          }
        }
      }
#pragma unroll
      for (int v = 0; v < kVectors; ++v) {
        const float4 xs = *reinterpret_cast<const float4*>(&x[v][staged(lane, group)]);
        x_sums[v] += (xs.x + xs.y) + (xs.z + xs.w);
#pragma unroll
        for (int r = 0; r < kR; ++r) {
          dots[r][v] = fmaf(value[r][0], xs.x, dots[r][v]);
          dots[r][v] = fmaf(value[r][1], xs.y, dots[r][v]);
          dots[r][v] = fmaf(value[r][2], xs.z, dots[r][v]);
          dots[r][v] = fmaf(value[r][3], xs.w, dots[r][v]);
        }
      }
    }
#pragma unroll
    for (int r = 0; r < kR; ++r) {
#pragma unroll
      for (int v = 0; v < kVectors; ++v) {
        float& sum = sums[r * kVectors + v];
        sum = fmaf(dots[r][v], run.scales[half][r], sum);
        if (has_zeros) sum = fmaf(x_sums[v], run.shifts[half][r], sum);
      }
    }
  }
}

template <int kBits, int kVectors>
__global__ void __launch_bounds__(kWarps* kWarp, (Shared<kBits, kVectors>::kBlocks))
    vector_kernel(LinearProblem p, int groups) {
  using S = Shared<kBits, kVectors>;
  constexpr int kR = kRows<kBits>, kSpan = S::kChunks * kChunk;
  S& shared = *dynamic_shared<S>();
  const Weight& w = p.w;
  const int lane = threadIdx.x % kWarp, cols = static_cast<int>(w.s.cols);
  const std::int64_t first_row = std::int64_t{blockIdx.x} * groups * kR;
  const int rows = static_cast<int>(min(std::int64_t{groups} * kR, w.s.rows - first_row));
  groups = (rows + kR - 1) / kR;
  shared.table.stage(w.codec);
  for (int i = threadIdx.x; i < rows * kVectors; i += kWarps * kWarp) shared.total[i / kVectors][i % kVectors] = 0.0f;

  for (int span = 0; span < cols; span += kSpan) {
    __syncthreads();  // the x before this one has been used
    stage_x(p, span, shared.x);
    __syncthreads();
    const int chunks = min(S::kChunks, (cols - span + kChunk - 1) / kChunk);
    for (int task = threadIdx.x / kWarp; task < groups * chunks; task += kWarps) {
      const int group = task / chunks, chunk = task % chunks;
      Run<kBits> run;
      run.load(w, first_row + group * kR, span + chunk * kChunk + lane * kRun);
      float sums[kR * kVectors] = {};
      const auto* x = reinterpret_cast<const float (*)[kSpan]>(&shared.x[0][chunk * kChunk]);
      multiply_run<kBits, kVectors>(run, w.has_zeros(), shared.table, x, sums);
      const float sum = sum_over_warp(sums);
      constexpr int kLanes = kWarp / (kR * kVectors);
      if (lane % kLanes == 0) (&shared.partial[group * chunks + chunk][0][0])[lane / kLanes] = sum;
    }
    __syncthreads();
    for (int i = threadIdx.x; i < rows * kVectors; i += kWarps * kWarp) {
      const int row = i / kVectors, vector = i % kVectors;
      float sum = shared.total[row][vector];
      for (int chunk = 0; chunk < chunks; ++chunk) sum += shared.partial[row / kR * chunks + chunk][row % kR][vector];
      shared.total[row][vector] = sum;
    }
  }
  for (int i = threadIdx.x; i < rows * kVectors; i += kWarps * kWarp) {  // by the thread that summed them
    const int row = i / kVectors, vector = i % kVectors;
    if (vector < p.m) p.finish(vector, first_row + row, shared.total[row][vector]);
  }
}

template <int kBits, int kVectors>
void launch(const LinearProblem& p, cudaStream_t stream) {
  using S = Shared<kBits, kVectors>;
  if constexpr (kVectors > 1) {
    if (sizeof(S) > most_shared_bytes()) {  // a row is the same bits whatever the others
      constexpr std::int64_t kFewer = kVectors > 4 ? 4 : 1;
      for (std::int64_t first = 0; first < p.m; first += kFewer) {
        launch<kBits, kFewer>(p.part(first, std::min(kFewer, p.m - first)), stream);
      }
      return;
    }
  }
  constexpr int kMaxGroups = kMaxTasks / S::kChunks;
  const std::int64_t row_groups = ceil_div(p.w.s.rows, kRows<kBits>);
  const auto groups = std::clamp<std::int64_t>(ceil_div(row_groups, S::kBlocks * multiprocessors()), 1, kMaxGroups);
  const auto grid = static_cast<unsigned>(ceil_div(row_groups, groups));
  launch_kernel(vector_kernel<kBits, kVectors>, grid, kWarps * kWarp, sizeof(S), stream, p, static_cast<int>(groups));
}

}  // namespace

void launch_vectors(const LinearProblem& p, cudaStream_t stream) {
  for_bits(p.w.codec.bits, [&]<int kBits>() {
    if (p.m == 1) {
      launch<kBits, 1>(p, stream);
    } else if (p.m <= 4) {
      launch<kBits, 4>(p, stream);
    } else {
      launch<kBits, kMaxVectorRows>(p, stream);
    }
  });
}

}  // namespace fairopt::cuda
