// Masks on CUDA. The key of a score is the bits of |score|, 31 of them: the threshold is found digit by digit from
// counts of keys, which are the same in whatever order threads add them. Ties go by index: by chunk, then within the
// one chunk in which they end.
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/launchers.h"

namespace fairopt::cuda {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / kWarp;
constexpr int kBins = 2048, kChunk = 16 * kThreads;
using Wide = unsigned long long;  // what CUDA's 64-bit atomics take

struct Digit {
  int shift, bits;
};
constexpr int kDigits = 3;
__host__ __device__ constexpr Digit digit_of(int i) {
  return i == 0 ? Digit{20, 11} : i == 1 ? Digit{9, 11} : Digit{0, 9};
}

/// The key of the threshold as far as it is known, and its rank among the keys that start so.
struct Search {
  Wide rank;
  std::uint32_t prefix;
};

struct Matrix {
  Source values;
  std::int64_t entries, cols;
  const float* norms;

  explicit Matrix(const PruneScores& scores)
      : values{scores.values, scores.dtype},
        entries(scores.rows * scores.cols),
        cols(scores.cols),
        norms(scores.norms) {}

  __host__ __device__ std::int64_t chunks() const { return ceil_div(entries, kChunk); }

  __device__ std::uint32_t key(std::int64_t i) const {
    const float value = values[i];
    return __float_as_uint(norms == nullptr ? value : __fmul_rn(value, norms[column(i)])) & 0x7fffffff;
  }
  __device__ std::int64_t column(std::int64_t i) const {  // 32 bits divide much faster
    return entries > 0xffffffff ? i % cols : static_cast<std::uint32_t>(i) % static_cast<std::uint32_t>(cols);
  }

  /// Calls body(index, key) for the thread's entries of [first, last), all threads of a block together. Past the end
  /// the key is one that no score has.
  template <class Body>
  __device__ void for_each_key(std::int64_t first, std::int64_t last, const Body& body) const {
    for (; first < last; first += kThreads) {
      const std::int64_t i = first + threadIdx.x;
      body(i, i < last ? key(i) : ~0u);
    }
  }
  __device__ std::int64_t end_of_chunk(std::int64_t chunk) const { return min(entries, (chunk + 1) * kChunk); }
};

/// Adds the digit of a key that starts as the threshold does.
__device__ void count_digit(std::uint32_t key, Digit digit, std::uint32_t prefix, std::uint32_t* bins) {
  if (key >> digit.shift >> digit.bits == prefix) atomicAdd(&bins[key >> digit.shift & ((1u << digit.bits) - 1)], 1);
}

__device__ void clear(std::uint32_t* bins) {
  for (int i = threadIdx.x; i < kBins; i += kThreads) bins[i] = 0;
  __syncthreads();
}

/// Sum over the threads before this one.
__device__ Wide sum_before(Wide own) {
  __shared__ Wide sums[kThreads];
  sums[threadIdx.x] = own;
  for (unsigned distance = 1; distance < kThreads; distance *= 2) {
    __syncthreads();
    const Wide before = threadIdx.x >= distance ? sums[threadIdx.x - distance] : 0;
    __syncthreads();
    sums[threadIdx.x] += before;
  }
  __syncthreads();
  const Wide before = sums[threadIdx.x] - own;
  __syncthreads();
  return before;
}

/// The search one digit further: the digit is the bin in which the rank lies.
template <class Count>
__device__ Search locate(const Count* bins, Digit digit, Search search) {
  constexpr int kOwn = kBins / kThreads;
  __shared__ Search found;
  Wide own = 0;
  for (int i = 0; i < kOwn; ++i) own += bins[kOwn * threadIdx.x + i];
  Wide before = sum_before(own);
  if (before <= search.rank && search.rank < before + own) {
    std::uint32_t bin = kOwn * threadIdx.x;
    while (search.rank >= before + bins[bin]) before += bins[bin++];
    found = {search.rank - before, search.prefix << digit.bits | bin};
  }
  __syncthreads();
  return found;
}

/// Writes the mask of [first, last): keys above the threshold stay, and of those that equal it all but `ties`.
__device__ void write_mask(const Matrix& matrix, std::int64_t first, std::int64_t last, std::uint32_t threshold,
                           Wide ties, std::uint8_t* mask) {
  __shared__ int equal[kWarps];
  Wide before = 0;  // equal keys of the tiles before
  matrix.for_each_key(first, last, [&](std::int64_t i, std::uint32_t key) {
    const unsigned lanes = __ballot_sync(kAllLanes, key == threshold);
    const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
    if (lane == 0) equal[warp] = __popc(lanes);
    __syncthreads();
    Wide place = before + __popc(lanes & ((1u << lane) - 1));
    for (int w = 0; w < kWarps; ++w) {
      if (w < warp) place += equal[w];
      before += equal[w];
    }
    if (i < last) mask[i] = key > threshold || (key == threshold && place >= ties);
    __syncthreads();
  });
}

__global__ void start_kernel(Search* search, Wide* bins, Wide rank) {
  for (int i = threadIdx.x; i < kBins; i += kThreads) bins[i] = 0;
  if (threadIdx.x == 0) *search = {rank, 0};
}

__global__ void count_kernel(Matrix matrix, Digit digit, const Search* search, Wide* bins) {
  __shared__ std::uint32_t own[kBins];
  clear(own);
  const std::uint32_t prefix = search->prefix;
  for (std::int64_t chunk = blockIdx.x; chunk < matrix.chunks(); chunk += gridDim.x) {
    matrix.for_each_key(chunk * kChunk, matrix.end_of_chunk(chunk),
                        [&](std::int64_t, std::uint32_t key) { count_digit(key, digit, prefix, own); });
  }
  __syncthreads();
  for (int i = threadIdx.x; i < kBins; i += kThreads) {
    if (own[i] != 0) atomicAdd(&bins[i], Wide{own[i]});
  }
}

__global__ void locate_kernel(Digit digit, Search* search, Wide* bins) {
  const Search found = locate(bins, digit, *search);
  for (int i = threadIdx.x; i < kBins; i += kThreads) bins[i] = 0;
  if (threadIdx.x == 0) *search = found;
}

__global__ void count_ties_kernel(Matrix matrix, const Search* search, Wide* ties) {
  const std::uint32_t threshold = search->prefix;
  for (std::int64_t chunk = blockIdx.x; chunk < matrix.chunks(); chunk += gridDim.x) {
    int found = 0;
    matrix.for_each_key(chunk * kChunk, matrix.end_of_chunk(chunk),
                        [&](std::int64_t, std::uint32_t key) { found += __syncthreads_count(key == threshold); });
    if (threadIdx.x == 0) ties[chunk] = found;
  }
}

/// Of the ties of each chunk those to prune: of all, in order, as many as the rank says.
__global__ void share_ties_kernel(const Search* search, Wide* ties, std::int64_t chunks) {
  __shared__ Wide carried;
  Wide left = search->rank + 1;
  for (std::int64_t tile = 0; tile < chunks; tile += kThreads) {
    const std::int64_t chunk = tile + threadIdx.x;
    const Wide own = chunk < chunks ? ties[chunk] : 0, before = sum_before(own);
    if (chunk < chunks) ties[chunk] = before >= left ? 0 : min(own, left - before);
    if (threadIdx.x == kThreads - 1) carried = before + own;
    __syncthreads();
    left -= min(left, carried);
    __syncthreads();
  }
}

__global__ void mask_kernel(Matrix matrix, const Search* search, const Wide* ties, std::uint8_t* mask) {
  for (std::int64_t chunk = blockIdx.x; chunk < matrix.chunks(); chunk += gridDim.x) {
    write_mask(matrix, chunk * kChunk, matrix.end_of_chunk(chunk), search->prefix, ties[chunk], mask);
  }
}

/// A row at a time, by all threads of a block.
__global__ void mask_rows_kernel(Matrix matrix, Wide rank, std::uint8_t* mask) {
  __shared__ std::uint32_t bins[kBins];
  for (std::int64_t first = blockIdx.x * matrix.cols; first < matrix.entries; first += gridDim.x * matrix.cols) {
    const std::int64_t last = first + matrix.cols;
    Search search{rank, 0};
    for (int d = 0; d < kDigits; ++d) {
      const Digit digit = digit_of(d);
      clear(bins);
      matrix.for_each_key(first, last,
                          [&](std::int64_t, std::uint32_t key) { count_digit(key, digit, search.prefix, bins); });
      __syncthreads();
      search = locate(bins, digit, search);
      __syncthreads();
    }
    write_mask(matrix, first, last, search.prefix, search.rank + 1, mask);
  }
}

/// A warp takes as many whole groups as it has lanes for; a lane asks the others of its group for their keys.
__global__ void n_of_m_kernel(Matrix matrix, int n, int m, std::uint8_t* mask) {
  const int lane = threadIdx.x % kWarp, groups = kWarp / m, group = lane / m, own = lane % m;
  const std::int64_t warp = std::int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarp, step = std::int64_t{groups} * m;
  for (std::int64_t first = warp * step; first < matrix.entries; first += std::int64_t{gridDim.x} * kWarps * step) {
    const std::int64_t i = first + lane;
    const bool used = group < groups && i < matrix.entries;
    const std::uint32_t key = used ? matrix.key(i) : 0;
    int better = 0;
    for (int d = 1; d < m; ++d) {
      const int other = own + d < m ? own + d : own + d - m;
      const std::uint32_t rival = __shfl_sync(kAllLanes, key, (group * m + other) % kWarp);
      better += rival > key || (rival == key && other > own);
    }
    if (used) mask[i] = better < n;
  }
}

unsigned chunk_grid(const Matrix& matrix) {
  return grid_size(std::min<std::int64_t>(matrix.chunks(), 8 * multiprocessors()));
}

struct Workspace {
  Search* search;
  Wide* bins;
  Wide* ties;  ///< by chunk, of all matrices

  explicit Workspace(void* memory)
      : search(static_cast<Search*>(memory)), bins(reinterpret_cast<Wide*>(search + 1)), ties(bins + kBins) {}
};

/// Calls body(matrix, its mask, its first chunk of all) for the matrices that have entries.
template <class Body>
void for_each_matrix(const PruneScores* scores, std::size_t count, std::uint8_t* const* masks, const Body& body) {
  std::int64_t chunk = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const Matrix matrix(scores[i]);
    if (matrix.entries == 0) continue;
    body(matrix, masks[i], chunk);
    chunk += matrix.chunks();
  }
}

}  // namespace
}  // namespace fairopt::cuda

std::size_t fairopt_cuda_prune_mask_model_bytes(const fairopt::PruneScores* scores, std::size_t count) {
  using namespace fairopt::cuda;
  std::size_t chunks = 0;
  for (std::size_t i = 0; i < count; ++i) chunks += static_cast<std::size_t>(Matrix(scores[i]).chunks());
  return sizeof(Search) + sizeof(Wide) * (kBins + chunks);
}

int fairopt_cuda_prune_mask_model(const fairopt::PruneScores* scores, std::size_t count, std::int64_t prune,
                                  std::uint8_t* const* masks, void* workspace, int device, void* stream) {
  using namespace fairopt::cuda;
  return on_device(device, stream, [&](cudaStream_t s) {
    const Workspace work(workspace);
    const auto for_each = [&](const auto& body) { for_each_matrix(scores, count, masks, body); };
    if (prune == 0) {
      for_each([&](const Matrix& matrix, std::uint8_t* mask, std::int64_t) {
        cudaMemsetAsync(mask, 1, static_cast<std::size_t>(matrix.entries), s);
      });
      return;
    }
    launch_kernel(start_kernel, 1, kThreads, 0, s, work.search, work.bins, static_cast<Wide>(prune - 1));
    for (int d = 0; d < kDigits; ++d) {
      const Digit digit = digit_of(d);
      for_each([&](const Matrix& matrix, std::uint8_t*, std::int64_t) {
        launch_kernel(count_kernel, chunk_grid(matrix), kThreads, 0, s, matrix, digit, work.search, work.bins);
      });
      launch_kernel(locate_kernel, 1, kThreads, 0, s, digit, work.search, work.bins);
    }
    std::int64_t chunks = 0;
    for_each([&](const Matrix& matrix, std::uint8_t*, std::int64_t chunk) {
      launch_kernel(count_ties_kernel, chunk_grid(matrix), kThreads, 0, s, matrix, work.search, work.ties + chunk);
      chunks = chunk + matrix.chunks();
    });
    launch_kernel(share_ties_kernel, 1, kThreads, 0, s, work.search, work.ties, chunks);
    for_each([&](const Matrix& matrix, std::uint8_t* mask, std::int64_t chunk) {
      launch_kernel(mask_kernel, chunk_grid(matrix), kThreads, 0, s, matrix, work.search, work.ties + chunk, mask);
    });
  });
}

int fairopt_cuda_prune_mask_rows(const fairopt::PruneScores* scores, std::int64_t prune, std::uint8_t* mask, int device,
                                 void* stream) {
  using namespace fairopt::cuda;
  const Matrix matrix(*scores);
  if (matrix.entries == 0) return cudaSuccess;
  return on_device(device, stream, [&](cudaStream_t s) {
    if (prune == 0) {
      cudaMemsetAsync(mask, 1, static_cast<std::size_t>(matrix.entries), s);
    } else {
      launch_kernel(mask_rows_kernel, grid_size(scores->rows), kThreads, 0, s, matrix, static_cast<Wide>(prune - 1),
                    mask);
    }
  });
}

int fairopt_cuda_prune_mask_n_of_m(const fairopt::PruneScores* scores, int n, int m, std::uint8_t* mask, int device,
                                   void* stream) {
  using namespace fairopt::cuda;
  const Matrix matrix(*scores);
  if (matrix.entries == 0) return cudaSuccess;
  return on_device(device, stream, [&](cudaStream_t s) {
    const std::int64_t warps = ceil_div(matrix.entries, kWarp / m * m);
    launch_kernel(n_of_m_kernel, grid_size(ceil_div(warps, kWarps)), kThreads, 0, s, matrix, n, m, mask);
  });
}
