// quantized_linear for 16-bit x, 4-bit and 8-bit codes: y^T = W x^T on the tensor cores (mma.sync m16n8k16).
//
// A thread reads 16 consecutive columns of a row of W, a quarter of four k-steps: a product does not care in which
// order the columns go, so the codes need no rearranging (blocks shorter than the strip of 64 columns do need it: there
// a k-step must lie in one block). Codes become 16-bit floats by a table in as many copies as an access serves lanes at
// once. Whole numbers and e4m3 are exact in 16 bits; codebook values are the sum of two (error below 2^-17). Sums are
// fp32: over a block of W unscaled, then over the blocks with their scales. The order of a sum depends on the number of
// columns alone.
#include "kernels/cuda/linear.cuh"

namespace fairopt::cuda {
namespace {

constexpr int kWarps = 16;     // in a thread block: each takes every sixteenth piece of the columns
constexpr int kTileRows = 16;  // rows of W of one product
constexpr int kTiles = 2;      // of a warp: x is read once for both
constexpr int kRows = kTiles * kTileRows;
constexpr int kTokens = 8;                // rows of x of one product
constexpr int kOwned = 16;                // columns of a thread in a strip
constexpr int kStrip = 4 * kOwned;        // columns of four k-steps
constexpr int kPiece = 128;               // columns between two turns of a warp
constexpr int kStrips = kPiece / kStrip;  // on their way while others are multiplied

template <class T>
struct Pair;
template <>
struct Pair<__half> {
  using Type = __half2;
  static __device__ float rounded(float v) { return __half2float(__float2half_rn(v)); }
  static __device__ std::uint32_t bits(float low, float high) {
    const __half2 pair = __floats2half2_rn(low, high);
    return *reinterpret_cast<const std::uint32_t*>(&pair);
  }
  static constexpr std::uint32_t kOnes = 0x3c003c00;
};
template <>
struct Pair<__nv_bfloat16> {
  using Type = __nv_bfloat162;
  static __device__ float rounded(float v) { return __bfloat162float(__float2bfloat16_rn(v)); }
  static __device__ std::uint32_t bits(float low, float high) {
    const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
    return *reinterpret_cast<const std::uint32_t*>(&pair);
  }
  static constexpr std::uint32_t kOnes = 0x3f803f80;
};

/// c += a b of 16 x 16 and 16 x 8, fp32 sums.
template <class T>
__device__ __forceinline__ void multiply(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0,
                                         std::uint32_t b1) {
  if constexpr (std::is_same_v<T, __half>) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  } else {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  }
}

/// Byte -> two values of 4-bit codes, or the value of one 8-bit code, as 16-bit floats; kTerms of them sum up to it.
template <class T, int kBits, int kTerms>
struct PairTable {
  static constexpr int kCopies = kWarp / kTerms;
  struct __align__(4 * kTerms) Entry {
    std::uint32_t terms[kTerms];
  };
  Entry entries[256 * kCopies];

  __device__ void stage(const Codec& codec) {
    for (int byte = threadIdx.x; byte < 256; byte += blockDim.x) {
      float low = codec.value(kBits == 4 ? byte >> 4 : byte), high = kBits == 4 ? codec.value(byte & 15) : 0.0f;
      Entry entry;
#pragma unroll
      for (int term = 0; term < kTerms; ++term) {
        entry.terms[term] = Pair<T>::bits(low, high);
        low -= Pair<T>::rounded(low), high -= Pair<T>::rounded(high);
      }
      // Every lane begins with another copy, so that they write to different banks.
      for (int i = 0; i < kCopies; ++i) entries[byte * kCopies + (threadIdx.x + i) % kCopies] = entry;
    }
  }
  /// The values of pair `i` of a thread's columns.
  __device__ __forceinline__ Entry pair(const std::uint32_t* words, int i) const {
    const Entry* mine = entries + threadIdx.x % kCopies;
    if constexpr (kBits == 4) {
      return mine[(words[i / 4] >> 8 * (i % 4) & 0xff) * kCopies];
    } else {
      const Entry low = mine[(words[i / 2] >> 16 * (i % 2) & 0xff) * kCopies];
      const Entry high = mine[(words[i / 2] >> (16 * (i % 2) + 8) & 0xff) * kCopies];
      return {{low.terms[0] | high.terms[0] << 16}};
    }
  }
};

/// A thread's rows of W: where their parts begin. 32 bits reach: fits_tensor_cores sees to that.
struct Rows {
  int codes[kTiles][2], block[kTiles][2];

  __device__ Rows(const Weight& w, std::int64_t first) {
#pragma unroll
    for (int i = 0; i < 2 * kTiles; ++i) {
      const std::int64_t row = min(first + i * 8 + threadIdx.x % kWarp / 4, w.s.rows - 1);
      codes[i / 2][i % 2] = static_cast<int>(row * w.s.bytes_per_row);
      block[i / 2][i % 2] = static_cast<int>(row * w.s.blocks_per_row);
    }
  }
};

/// The scales of a block of the rows, 0 beyond their end.
struct Scales {
  float of[kTiles][2];

  __device__ __forceinline__ void load(const Weight& w, const Rows& rows, int col) {
    const bool inside = col < w.s.cols;
    const int block = block_of(w.s, col);
#pragma unroll
    for (int i = 0; i < 2 * kTiles; ++i) {
      of[i / 2][i % 2] = inside ? __ldg(w.scales + rows.block[i / 2][i % 2] + block) : 0.0f;
    }
  }
};

/// What a thread reads of W for one strip.
template <int kBits>
struct StripWeights {
  static constexpr int kWords = kOwned * kBits / 32;
  std::uint32_t words[kTiles][2][kWords];
  Scales scales;  ///< of a strip that lies in one block

  /// Columns beyond the row read as code 0; the x they would meet is 0.
  __device__ __forceinline__ void load(const Weight& w, const Rows& rows, int col, bool one_block) {
    if (one_block) scales.load(w, rows, col);
    col += threadIdx.x % 4 * kOwned;
    const bool inside = col < w.s.cols;
#pragma unroll
    for (int tile = 0; tile < kTiles; ++tile) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const std::uint8_t* source = w.codes + (rows.codes[tile][half] + col / 8 * kBits);
        auto& to = words[tile][half];
        if constexpr (kBits == 4) {
          const uint2 v = inside ? __ldcs(reinterpret_cast<const uint2*>(source)) : uint2{0, 0};
          to[0] = v.x, to[1] = v.y;
        } else {
          const uint4 v = inside ? __ldcs(reinterpret_cast<const uint4*>(source)) : uint4{0, 0, 0, 0};
          to[0] = v.x, to[1] = v.y, to[2] = v.z, to[3] = v.w;
        }
      }
    }
  }

  /// Thread t of four gives columns 4 i .. 4 i + 3 of its quarter to thread i and gets columns 4 t .. 4 t + 3 of every
  /// quarter: those of k-step j then are columns 16 j .. 16 j + 15 of the strip.
  __device__ __forceinline__ void transpose() {
    constexpr int kBytes = kBits / 2;  // of four columns
    const int t = threadIdx.x % 4;
#pragma unroll
    for (int i = 0; i < 2 * kTiles; ++i) {
      auto& row = words[i / 2][i % 2];
      std::uint32_t out[kWords] = {};
#pragma unroll
      for (int turn = 0; turn < 4; ++turn) {  // with thread t ^ turn
        const int there = t ^ turn;
        if constexpr (kBytes == 4) {
          const std::uint32_t give = there < 2 ? (there == 0 ? row[0] : row[1]) : (there == 2 ? row[2] : row[3]);
          const std::uint32_t got = __shfl_xor_sync(kAllLanes, give, turn);
#pragma unroll
          for (int word = 0; word < 4; ++word) out[word] = word == there ? got : out[word];
        } else {
          const std::uint32_t give = (there < 2 ? row[0] : row[1]) >> 16 * (there % 2);
          const std::uint32_t got = (__shfl_xor_sync(kAllLanes, give, turn) & 0xffff) << 16 * (there % 2);
          out[0] |= there < 2 ? got : 0, out[1] |= there < 2 ? 0 : got;
        }
      }
#pragma unroll
      for (int word = 0; word < kWords; ++word) row[word] = out[word];
    }
  }
};

/// A thread's 16 columns of kTokenTiles rows of x, zero outside: pairs 2 j and 2 j + 1 belong to k-step j.
template <int kTokenTiles>
struct StripTokens {
  std::uint32_t pairs[kTokenTiles][kOwned / 2];

  /// `rows`: the thread's rows of x, null beyond the last.
  __device__ __forceinline__ void load(const std::uint16_t* const (&rows)[kTokenTiles], int col, int cols,
                                       bool one_block) {
    const int quarter = threadIdx.x % 4;
#pragma unroll
    for (int tile = 0; tile < kTokenTiles; ++tile) {
      auto& to = pairs[tile];
      if (one_block) {
        const int first = col + quarter * kOwned;
        const bool inside = rows[tile] != nullptr && first < cols;
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          const uint4 v = inside ? __ldg(reinterpret_cast<const uint4*>(rows[tile] + first) + i) : uint4{0, 0, 0, 0};
          to[4 * i] = v.x, to[4 * i + 1] = v.y, to[4 * i + 2] = v.z, to[4 * i + 3] = v.w;
        }
      } else {
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          const int first = col + 16 * j + 4 * quarter;
          const bool inside = rows[tile] != nullptr && first < cols;
          const uint2 v = inside ? __ldg(reinterpret_cast<const uint2*>(rows[tile] + first)) : uint2{0, 0};
          to[2 * j] = v.x, to[2 * j + 1] = v.y;
        }
      }
    }
  }
};

/// sums += x W^T of a strip: unscaled sums of a block, then its scale and zero point. `blocks`: 1, 2 or 4 in the strip.
template <class T, int kBits, int kTerms, int kTokenTiles>
__device__ __forceinline__ void multiply_strip(const Weight& w, const PairTable<T, kBits, kTerms>& table,
                                               const Rows& rows, const StripWeights<kBits>& weights,
                                               const StripTokens<kTokenTiles>& x, int strip, int blocks,
                                               float (&sums)[kTiles][kTokenTiles][4]) {
  const bool has_zeros = w.has_zeros();
  float dots[kTiles][kTokenTiles][4] = {}, x_sums[kTokenTiles][4] = {};
#pragma unroll
  for (int step = 0; step < 4; ++step) {
#pragma unroll
    for (int tile = 0; tile < kTiles; ++tile) {
      std::uint32_t a[kTerms][4];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const auto entry = table.pair(weights.words[tile][i % 2], 2 * step + i / 2);
#pragma unroll
        for (int term = 0; term < kTerms; ++term) a[term][i] = entry.terms[term];
      }
#pragma unroll
      for (int t = 0; t < kTokenTiles; ++t) {
#pragma unroll
        for (int term = 0; term < kTerms; ++term) {
          multiply<T>(dots[tile][t], a[term], x.pairs[t][2 * step], x.pairs[t][2 * step + 1]);
        }
      }
    }
    if (has_zeros) {
      constexpr std::uint32_t kOnes = Pair<T>::kOnes;
#pragma unroll
      for (int t = 0; t < kTokenTiles; ++t) {
        multiply<T>(x_sums[t], {kOnes, kOnes, kOnes, kOnes}, x.pairs[t][2 * step], x.pairs[t][2 * step + 1]);
      }
    }
    if (step < 3 && (step + 1) * blocks % 4 != 0) continue;  // the block goes on
    Scales scales = weights.scales;
    if (blocks > 1) scales.load(w, rows, strip + step * 16);
#pragma unroll
    for (int i = 0; i < 2 * kTiles; ++i) {
      const int tile = i / 2, half = i % 2;
      const float scale = scales.of[tile][half];
#pragma unroll
      for (int t = 0; t < kTokenTiles; ++t) {
#pragma unroll
        for (int j = 2 * half; j < 2 * half + 2; ++j) {
          sums[tile][t][j] = fmaf(dots[tile][t][j], scale, sums[tile][t][j]);
          dots[tile][t][j] = 0.0f;
        }
      }
      if (has_zeros) {  // beyond the row: any shift, times 0
        const int col = min(strip + (blocks == 1 ? 0 : step * 16), static_cast<int>(w.s.cols) - 1);
        const float shift = w.shift(rows.block[tile][half] + block_of(w.s, col), scale);
#pragma unroll
        for (int t = 0; t < kTokenTiles; ++t) {
#pragma unroll
          for (int j = 2 * half; j < 2 * half + 2; ++j) sums[tile][t][j] = fmaf(x_sums[t][j], shift, sums[tile][t][j]);
        }
      }
    }
    if (has_zeros) {
#pragma unroll
      for (int t = 0; t < kTokenTiles; ++t) {
#pragma unroll
        for (float& x_sum : x_sums[t]) x_sum = 0.0f;
      }
    }
  }
}

template <class T, int kBits, int kTerms, int kTokenTiles>
__global__ void __launch_bounds__(kWarps* kWarp) tensor_core_kernel(LinearProblem p) {
  using Table = PairTable<T, kBits, kTerms>;
  constexpr int kColumns = kTokenTiles * kTokens;
  extern __shared__ __align__(16) unsigned char memory[];
  Table& table = *reinterpret_cast<Table*>(memory);
  const Weight& w = p.w;
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp, cols = static_cast<int>(w.s.cols);
  const std::int64_t first_row = std::int64_t{blockIdx.x} * kRows, first_token = std::int64_t{blockIdx.y} * kColumns;
  const Rows rows(w, first_row);
  const std::uint16_t* tokens[kTokenTiles];
#pragma unroll
  for (int t = 0; t < kTokenTiles; ++t) {
    const std::int64_t token = first_token + t * kTokens + lane / 4;
    tokens[t] = token < p.m ? static_cast<const std::uint16_t*>(p.x.data) + token * cols : nullptr;
  }
  const int blocks = w.s.block % kStrip == 0 ? 1 : w.s.block % (kStrip / 2) == 0 ? 2 : 4;

  StripWeights<kBits> coming[kStrips];
  const auto fetch = [&](int col) {
#pragma unroll
    for (int i = 0; i < kStrips; ++i) coming[i].load(w, rows, col + i * kStrip, blocks == 1);
  };
  fetch(warp * kPiece);
  table.stage(w.codec);
  __syncthreads();
  float sums[kTiles][kTokenTiles][4] = {};
  for (int col = warp * kPiece; col < cols; col += kWarps * kPiece) {
    StripWeights<kBits> now[kStrips];
#pragma unroll
    for (int i = 0; i < kStrips; ++i) now[i] = coming[i];
    fetch(col + kWarps * kPiece);
#pragma unroll
    for (int i = 0; i < kStrips; ++i) {
      StripTokens<kTokenTiles> x;
      x.load(tokens, col + i * kStrip, cols, blocks == 1);
      if (blocks > 1) now[i].transpose();
      multiply_strip<T, kBits, kTerms>(w, table, rows, now[i], x, col + i * kStrip, blocks, sums);
    }
  }
  __syncthreads();  // the table has been used: its place now takes the sums of the warps
  using Sums = float[kRows][kColumns + 1];
  Sums* all = reinterpret_cast<Sums*>(memory);
#pragma unroll
  for (int t = 0; t < kTokenTiles; ++t) {
#pragma unroll
    for (int i = 0; i < 4 * kTiles; ++i) {
      all[warp][i / 2 * 8 + lane / 4][t * kTokens + lane % 4 * 2 + i % 2] = sums[i / 4][t][i % 4];
    }
  }
  __syncthreads();
  for (int i = threadIdx.x; i < kRows * kColumns; i += kWarps * kWarp) {
    const int row = i % kRows, token = i / kRows;
    float sum = 0.0f;
#pragma unroll
    for (int source = 0; source < kWarps; ++source) sum += all[source][row][token];
    if (first_row + row < w.s.rows && first_token + token < p.m) p.finish(first_token + token, first_row + row, sum);
  }
}

template <class T, int kBits, int kTerms, int kTokenTiles>
void launch(const LinearProblem& p, cudaStream_t stream) {
  constexpr int kColumns = kTokenTiles * kTokens;
  constexpr std::size_t kBytes =
      std::max(sizeof(PairTable<T, kBits, kTerms>), sizeof(float) * kWarps * kRows * (kColumns + 1));
  const dim3 grid(static_cast<unsigned>(ceil_div(p.w.s.rows, kRows)), static_cast<unsigned>(ceil_div(p.m, kColumns)));
  const auto kernel = tensor_core_kernel<T, kBits, kTerms, kTokenTiles>;
  cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
  kernel<<<grid, kWarps * kWarp, kBytes, stream>>>(p);
}

template <class T, int kBits, int kTerms>
void launch_tokens(const LinearProblem& p, cudaStream_t stream) {
  if (p.m <= kTokens) {
    launch<T, kBits, kTerms, 1>(p, stream);
  } else {
    launch<T, kBits, kTerms, 2>(p, stream);
  }
}

template <class T>
void launch_format(const LinearProblem& p, cudaStream_t stream) {
  if (p.w.codec.bits == 8) {
    launch_tokens<T, 8, 1>(p, stream);
  } else if (p.w.codec.rule == Rule::kNormalFloat || p.w.codec.rule == Rule::kBnbFloat) {
    launch_tokens<T, 4, 2>(p, stream);
  } else {
    launch_tokens<T, 4, 1>(p, stream);
  }
}

}  // namespace

void launch_tensor_cores(const LinearProblem& p, cudaStream_t stream) {
  if (p.x.dtype == DType::kFloat16) {
    launch_format<__half>(p, stream);
  } else {
    launch_format<__nv_bfloat16>(p, stream);
  }
}

}  // namespace fairopt::cuda
