// quantized_linear for 16-bit x, 4-bit and 8-bit codes: y^T = W x^T on the tensor cores (mma.sync m16n8k16).
//
// The warps of a thread block share 16 rows of W and take turns at strips of 128 columns. A product does not care in
// which order the columns go, so a thread reads consecutive ones, up to 32 at once, and the codes need no rearranging;
// it owns fewer at a time where blocks are shorter than a strip, because a k-step must lie in one block. Codes become
// 16-bit floats by a table in as many copies as an access serves lanes at once. Whole numbers and e4m3 are exact in 16
// bits; codebook values are the sum of two (error below 2^-17). Sums are fp32: over a block of W unscaled, then over
// the blocks with their scales. The order of a sum depends on the number of columns and the block alone.
#include "kernels/cuda/launchers.h"
#include "kernels/cuda/linear.cuh"
#include "kernels/cuda/pair_table.cuh"
#include "kernels/cuda/ptx.cuh"

namespace fairopt::cuda {
namespace {

constexpr int kWarps = 8;      // in a thread block
constexpr int kTileRows = 16;  // rows of W of one product
constexpr int kTokens = 8;     // rows of x of one product
constexpr int kStrip = 128;    // columns of a turn of a warp: 32 of a thread
constexpr int kTurn = kWarps * kStrip;
constexpr int kChunk = 8;   // columns of a thread that one load of x brings: two k-steps
constexpr int kChunks = 4;  // of a thread in a strip

/// Strips fall into parts of 4 kOwned columns, of which each of four threads owns a quarter.
template <int kOwned>
struct Parts {
  static constexpr int kColumns = 4 * kOwned;
  static constexpr int kCount = kStrip / kColumns;
  static constexpr int kChunksEach = kOwned / kChunk;
};

/// Where a thread is in its two rows of W.
template <int kBits>
struct Place {
  const std::uint8_t* codes[2];  // of its first column
  int blocks[2];                 // the rows' first; 32 bits reach: fits_tensor_cores sees to that
  int strip;
  int left;  // columns from its first to the end of the row

  __device__ Place(const Weight& w, std::int64_t first_row, int owned)
      : strip(static_cast<int>(threadIdx.x) / kWarp * kStrip) {
    const int col = strip + threadIdx.x % 4 * owned;
    left = static_cast<int>(w.s.cols) - col;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const std::int64_t row = min(first_row + half * 8 + threadIdx.x % kWarp / 4, w.s.rows - 1);
      codes[half] = w.codes + row * w.s.bytes_per_row + col / 8 * kBits;
      ptx::keep(codes[half]);
      blocks[half] = static_cast<int>(row * w.s.blocks_per_row);
    }
  }
  __device__ __forceinline__ void advance(int columns) {
    strip += columns, left -= columns;
#pragma unroll
    for (const std::uint8_t*& row : codes) row += columns / 8 * kBits;
  }
};

/// What a thread reads of W for one strip: codes of its columns, and of its part the scales and zero points, which the
/// four threads then show one another. Beyond the row codes read as 0 and meet an x of 0.
template <int kBits, int kOwned, bool kZeros>
struct StripWeights {
  using P = Parts<kOwned>;
  static constexpr int kWords = kOwned * kBits / 32;  // of a part
  std::uint32_t words[2][P::kCount][kWords];
  float scales[2], zeros[kZeros ? 2 : 1];

  /// Strip `turn` of those to come.
  __device__ __forceinline__ void load(const Weight& w, const Place<kBits>& at, int turn) {
    const int begin = turn * kTurn;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
#pragma unroll
      for (int part = 0; part < P::kCount; ++part) {
        const int col = begin + part * P::kColumns;
        load_words(at.codes[half] + col / 8 * kBits, col < at.left, words[half][part]);
      }
    }
    const int mine = at.strip + begin + threadIdx.x % P::kCount * P::kColumns;
    const bool inside = mine < w.s.cols;
    const int block = block_of(w.s, mine);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int i = at.blocks[half] + block;
      scales[half] = inside ? __ldg(w.scales + i) : 0.0f;
      if constexpr (kZeros) {
        zeros[half] = 0.0f;
        if (inside) zeros[half] = w.zeros != nullptr ? static_cast<float>(__ldg(w.zeros + i)) : w.float_zeros[i];
      }
    }
  }
  static __device__ __forceinline__ void load_words(const std::uint8_t* from, bool inside,
                                                    std::uint32_t (&to)[kWords]) {
    if constexpr (kWords == 4) {
      const uint4 v = inside ? __ldcs(reinterpret_cast<const uint4*>(from)) : uint4{0, 0, 0, 0};
      to[0] = v.x, to[1] = v.y, to[2] = v.z, to[3] = v.w;
    } else if constexpr (kWords == 2) {
      const uint2 v = inside ? __ldg(reinterpret_cast<const uint2*>(from)) : uint2{0, 0};
      to[0] = v.x, to[1] = v.y;
    } else {
      to[0] = inside ? __ldg(reinterpret_cast<const std::uint32_t*>(from)) : 0;
    }
  }

  __device__ __forceinline__ float scale(int half, int part) const { return of_part(scales[half], part); }
  /// What the sum of x over the block is multiplied by.
  __device__ __forceinline__ float shift(const Weight& w, int half, int part) const {
    const float zero = of_part(zeros[half], part);
    return w.zeros != nullptr ? -__fmul_rn(zero, scale(half, part)) : zero;
  }
  static __device__ __forceinline__ float of_part(float value, int part) {
    return P::kCount == 1 ? value : __shfl_sync(kAllLanes, value, part, 4);
  }
};

/// Chunk `i` of a thread's strip that starts at column `strip`: its first column.
__device__ __forceinline__ int chunk_of(int strip, int i, int quarter, int owned) {
  const int each = owned / kChunk;
  return strip + i / each * 4 * owned + quarter * owned + i % each * kChunk;
}

/// x for many tokens, in the order in which warps read it: a thread loads 16 bytes, a warp a chunk of every lane, so
/// that it touches few lines of the cache. [groups, strips, kChunks, tiles, kWarp], groups of `tiles` times kTokens
/// tokens, 0 beyond the ends of x.
__global__ void __launch_bounds__(256) arrange_kernel(LinearProblem p, std::int64_t count, int tiles, int owned) {
  const std::int64_t cols = p.w.s.cols, strips = ceil_div(cols, kStrip), stride = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t unit = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; unit < count; unit += stride) {
    const int lane = static_cast<int>(unit % kWarp);
    const std::int64_t rest = unit / kWarp;
    const auto tile = rest % tiles, chunk = rest / tiles % kChunks, strip = rest / tiles / kChunks % strips,
               token = (rest / tiles / kChunks / strips * tiles + tile) * kTokens + lane / 4;
    const int col = chunk_of(static_cast<int>(strip) * kStrip, static_cast<int>(chunk), lane % 4, owned);
    const auto* row = static_cast<const std::uint16_t*>(p.x.data) + token * cols;
    p.arranged[unit] = token < p.m && col < cols ? *reinterpret_cast<const uint4*>(row + col) : uint4{0, 0, 0, 0};
  }
}

/// What a warp reads of x for a strip, in units of 16 bytes.
template <int kTokenTiles>
constexpr int kArrangedStrip = kChunks * kTokenTiles * kWarp;

/// The chunks of x that are on their way to a thread: of its row for up to kTokens tokens, else arranged.
template <int kTokenTiles, int kOwned>
struct Tokens {
  static constexpr bool kArranged = kTokenTiles > 1;
  static constexpr int kAhead = kChunks / kTokenTiles;
  const std::uint16_t* row;  // at the strip; beyond the last row null
  const uint4* arranged;     // of the strip
  uint4 coming[kAhead][kTokenTiles];

  __device__ Tokens(const LinearProblem& p, int strip) {
    const int lane = threadIdx.x % kWarp;
    if constexpr (kArranged) {
      const std::int64_t strips = ceil_div(p.w.s.cols, kStrip);
      arranged = p.arranged + (blockIdx.x * strips + strip / kStrip) * kArrangedStrip<kTokenTiles> + lane;
      ptx::keep(arranged);
    } else {
      row = static_cast<const std::uint16_t*>(p.x.data) + lane / 4 * p.w.s.cols + strip;
      ptx::keep(row);
      if (lane / 4 >= p.m) row = nullptr;
    }
  }
  /// Chunk `i` counted from strip `turn`, which may be one of the next strip. `left`: columns to the end of the row.
  __device__ __forceinline__ void fetch(int turn, int i, int left) {
    turn += i / kChunks, i %= kChunks;
    const int col = chunk_of(turn * kTurn, i, threadIdx.x % 4, kOwned);
#pragma unroll
    for (int t = 0; t < kTokenTiles; ++t) {
      uint4& to = coming[i % kAhead][t];
      to = {0, 0, 0, 0};
      if constexpr (kArranged) {
        const int at = turn * (kTurn / kStrip) * kArrangedStrip<kTokenTiles> + (i * kTokenTiles + t) * kWarp;
        if (turn * kTurn < left) to = __ldg(arranged + at);
      } else {
        if (row != nullptr && col < left) to = __ldg(reinterpret_cast<const uint4*>(row + col));
      }
    }
  }
  __device__ __forceinline__ void advance(int columns) {
    if constexpr (kArranged) {
      arranged += columns / kStrip * kArrangedStrip<kTokenTiles>;
    } else if (row != nullptr) {
      row += columns;
    }
  }
};

/// sums += x W^T of a strip: unscaled sums of a part of a block, then its scale and zero point.
template <class T, int kBits, int kTerms, int kTokenTiles, int kOwned, bool kZeros>
__device__ __forceinline__ void multiply_strip(const Weight& w, const LaneTable<kBits, kTerms>& table,
                                               const StripWeights<kBits, kOwned, kZeros>& weights,
                                               Tokens<kTokenTiles, kOwned>& x, int turn, int left,
                                               float (&sums)[kTokenTiles][4]) {
  using P = Parts<kOwned>;
#pragma unroll
  for (int part = 0; part < P::kCount; ++part) {
    float dots[kTokenTiles][4] = {}, x_sums[kTokenTiles][4] = {};
#pragma unroll
    for (int i = 0; i < P::kChunksEach; ++i) {
      const int chunk = part * P::kChunksEach + i;
      uint4 now[kTokenTiles];
#pragma unroll
      for (int t = 0; t < kTokenTiles; ++t) now[t] = x.coming[chunk % x.kAhead][t];
      x.fetch(turn, chunk + x.kAhead, left);
#pragma unroll
      for (int step = 0; step < 2; ++step) {
        std::uint32_t a[kTerms][4];
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          std::uint32_t terms[kTerms];
          table.pair(weights.words[j % 2][part], 4 * i + 2 * step + j / 2, terms);
#pragma unroll
          for (int term = 0; term < kTerms; ++term) a[term][j] = terms[term];
        }
#pragma unroll
        for (int t = 0; t < kTokenTiles; ++t) {
          const std::uint32_t b0 = step == 0 ? now[t].x : now[t].z, b1 = step == 0 ? now[t].y : now[t].w;
#pragma unroll
          for (int term = 0; term < kTerms; ++term) ptx::mma_16x8x16<T>(dots[t], a[term], b0, b1);
          constexpr std::uint32_t kOnes = Pair<T>::kOnes;
          if constexpr (kZeros) ptx::mma_16x8x16<T>(x_sums[t], {kOnes, kOnes, kOnes, kOnes}, b0, b1);
        }
      }
    }
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float scale = weights.scale(half, part);
      const float shift = kZeros ? weights.shift(w, half, part) : 0.0f;
#pragma unroll
      for (int t = 0; t < kTokenTiles; ++t) {
#pragma unroll
        for (int j = 2 * half; j < 2 * half + 2; ++j) {
          sums[t][j] = fmaf(dots[t][j], scale, sums[t][j]);
          if constexpr (kZeros) sums[t][j] = fmaf(x_sums[t][j], shift, sums[t][j]);
        }
      }
    }
  }
}

/// The warps' sums of 16 rows, added up in order and written.
template <int kTokenTiles>
__device__ void finish_tile(const LinearProblem& p, unsigned char* memory, std::int64_t first_row,
                            std::int64_t first_token, const float (&sums)[kTokenTiles][4]) {
  constexpr int kColumns = kTokenTiles * kTokens;
  using Sums = float[kTileRows][kColumns + 1];
  Sums* all = reinterpret_cast<Sums*>(memory);
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
#pragma unroll
  for (int t = 0; t < kTokenTiles; ++t) {
#pragma unroll
    for (int i = 0; i < 4; ++i) all[warp][i / 2 * 8 + lane / 4][t * kTokens + lane % 4 * 2 + i % 2] = sums[t][i];
  }
  __syncthreads();
  for (int i = threadIdx.x; i < kTileRows * kColumns; i += kWarps * kWarp) {
    const int row = i % kTileRows, token = i / kTileRows;
    float sum = 0.0f;
#pragma unroll
    for (int source = 0; source < kWarps; ++source) sum += all[source][row][token];
    if (first_row + row < p.w.s.rows && first_token + token < p.m) p.finish(first_token + token, first_row + row, sum);
  }
}

template <class T, int kBits, int kTerms, int kTokenTiles, int kOwned, bool kZeros>
__global__ void __launch_bounds__(kWarps* kWarp, 2) tensor_core_kernel(LinearProblem p) {
  using Table = PairTable<T, kBits, kTerms>;
  using Strip = StripWeights<kBits, kOwned, kZeros>;
  auto* memory = dynamic_shared<unsigned char>();
  Table& staged = *reinterpret_cast<Table*>(memory);
  const Weight& w = p.w;
  const std::int64_t first_row = std::int64_t{blockIdx.y} * kTileRows,
                     first_token = std::int64_t{blockIdx.x} * kTokenTiles * kTokens;
  Place<kBits> at(w, first_row, kOwned);
  const int cols = static_cast<int>(w.s.cols);
  Strip even, odd;  // of the strips at turns of a warp: while one is multiplied, the other is on its way
  even.load(w, at, 0);
  odd.load(w, at, 1);
  Tokens<kTokenTiles, kOwned> x(p, at.strip);
#pragma unroll
  for (int i = 0; i < x.kAhead; ++i) x.fetch(0, i, cols - at.strip);
  staged.stage(w.codec);
  __syncthreads();
  const LaneTable<kBits, kTerms> table(staged);
  float sums[kTokenTiles][4] = {};
  while (at.strip < w.s.cols) {
    multiply_strip<T>(w, table, even, x, 0, cols - at.strip, sums);
    even.load(w, at, 2);
    if (at.strip + kTurn >= w.s.cols) break;
    multiply_strip<T>(w, table, odd, x, 1, cols - at.strip, sums);
    odd.load(w, at, 3);
    at.advance(2 * kTurn);
    x.advance(2 * kTurn);
  }
  __syncthreads();  // the table has been used: its place now takes the sums of the warps
  finish_tile(p, memory, first_row, first_token, sums);
}

template <class T, int kBits, int kTerms, int kTokenTiles, int kOwned, bool kZeros>
void launch(const LinearProblem& p, cudaStream_t stream) {
  constexpr int kColumns = kTokenTiles * kTokens;
  constexpr std::size_t kBytes =
      std::max(sizeof(PairTable<T, kBits, kTerms>), sizeof(float) * kWarps * kTileRows * (kColumns + 1));
  const dim3 grid(static_cast<unsigned>(ceil_div(p.m, kColumns)),
                  static_cast<unsigned>(ceil_div(p.w.s.rows, kTileRows)));
  if constexpr (kTokenTiles > 1) {
    const std::int64_t units = grid.x * ceil_div(p.w.s.cols, kStrip) * kChunks * kTokenTiles * kWarp;
    launch_kernel(arrange_kernel, grid_size(ceil_div(units, 256)), 256, 0, stream, p, units, kTokenTiles, kOwned);
  }
  launch_kernel(tensor_core_kernel<T, kBits, kTerms, kTokenTiles, kOwned, kZeros>, grid, kWarps * kWarp, kBytes, stream,
                p);
}

template <class T, int kBits, int kTerms, int kOwned, bool kZeros>
void launch_tokens(const LinearProblem& p, cudaStream_t stream) {
  if (p.m <= kTokens) {
    launch<T, kBits, kTerms, 1, kOwned, kZeros>(p, stream);
  } else if (p.m <= 2 * kTokens) {
    launch<T, kBits, kTerms, 2, kOwned, kZeros>(p, stream);
  } else {
    launch<T, kBits, kTerms, kZeros ? 2 : 4, kOwned, kZeros>(p, stream);  // sums of x take the registers of more
  }
}

template <class T, int kBits, int kTerms, bool kZeros>
void launch_block(const LinearProblem& p, cudaStream_t stream) {
  constexpr int kWidest = kBits == 4 ? 32 : 16;  // columns of a load
  if (p.w.s.block % (4 * kWidest) == 0) {
    launch_tokens<T, kBits, kTerms, kWidest, kZeros>(p, stream);
  } else if (p.w.s.block % 64 == 0) {
    launch_tokens<T, kBits, kTerms, 16, kZeros>(p, stream);
  } else {
    launch_tokens<T, kBits, kTerms, 8, kZeros>(p, stream);
  }
}

template <class T, int kBits>
void launch_codes(const LinearProblem& p, cudaStream_t stream) {
  const Rule rule = p.w.codec.rule;
  if (p.w.has_zeros()) {
    launch_block<T, kBits, 1, true>(p, stream);
  } else if (kBits == 4 && (rule == Rule::kNormalFloat || rule == Rule::kBnbFloat)) {
    launch_block<T, kBits, kBits == 4 ? 2 : 1, false>(p, stream);
  } else {
    launch_block<T, kBits, 1, false>(p, stream);
  }
}

template <class T>
void launch_type(const LinearProblem& p, cudaStream_t stream) {
  if (p.w.codec.bits == 8) {
    launch_codes<T, 8>(p, stream);
  } else {
    launch_codes<T, 4>(p, stream);
  }
}

}  // namespace

void launch_tensor_cores(const LinearProblem& p, cudaStream_t stream) {
  if (p.x.dtype == DType::kFloat16) {
    launch_type<__half>(p, stream);
  } else {
    launch_type<__nv_bfloat16>(p, stream);
  }
}

}  // namespace fairopt::cuda
