// sparse_linear: checks, activations in the order of the chunks, tiles over the threads.
#include <algorithm>
#include <cstring>
#include <vector>

#include "kernels/aligned_buffer.h"
#include "kernels/packed_arithmetic.h"
#include "kernels/require.h"
#include "kernels/sparse_layout.h"

namespace fairopt {
namespace {

using kernels::kSparseChunk;
using kernels::kTileRows;
using kernels::require;

constexpr std::int64_t kTokensAtOnce = 128;  // that a weight is expanded once for

void check(const SparseLinearArgs& args) {
  constexpr const char* op = "sparse_linear";
  require(args.m >= 0, op, "m must be non-negative, got {}", args.m);
  kernels::check_packed(args.packed, args.bytes, args.layout, op);
  if (args.m == 0 || args.layout.rows == 0) return;
  require(args.y != nullptr, op, "y must not be null");
  require(args.layout.cols == 0 || args.x != nullptr, op, "x must not be null");
}

/// Tokens [lo, hi) of x [m, k] to [chunk][m][kSparseChunk].
void pack_tokens(const float* x, std::int64_t m, std::int64_t k, std::int64_t lo, std::int64_t hi, float* packed) {
  for (std::int64_t t = lo; t < hi; ++t) {
    for (std::int64_t first = 0; first < k; first += kSparseChunk) {
      const std::int64_t columns = std::min(kSparseChunk, k - first);
      std::memcpy(packed + first * m + t * kSparseChunk, x + t * k + first,
                  static_cast<std::size_t>(columns) * sizeof(float));
    }
  }
}

}  // namespace

void sparse_linear(const SparseLinearArgs& args, Executor& executor) {
  check(args);
  if (args.m == 0 || args.layout.rows == 0) return;
  const kernels::SparseKernels& kernel = kernels::table().sparse;
  const kernels::SparseParts parts(args.layout, kernel.by_value);
  const bool int8 = args.layout.type == SparseType::kInt8;
  const std::int64_t n = args.layout.rows, k = args.layout.cols, most = std::min(args.m, kTokensAtOnce);
  const std::int64_t padded = (k + kSparseChunk - 1) / kSparseChunk * kSparseChunk;
  const kernels::AlignedBuffer tokens = kernels::allocate(args.m == 1 ? 0 : most * padded);
  for (std::int64_t first = 0; first < args.m; first += kTokensAtOnce) {
    const std::int64_t m = std::min(args.m - first, kTokensAtOnce);
    const float* x = args.x + first * k;
    if (m > 1) {
      executor.parallel_for(0, m, kernels::row_grain(k),
                            [&](std::int64_t lo, std::int64_t hi) { pack_tokens(x, m, k, lo, hi, tokens.get()); });
    }
    const kernels::SparseLinear call{
        .packed = args.packed,
        .tiles = reinterpret_cast<const kernels::SparseTile*>(args.packed + parts.table),
        .scales = int8 ? reinterpret_cast<const float*>(args.packed + parts.scales) : nullptr,
        .value_bytes = parts.value_bytes,
        .half = args.layout.type == SparseType::kFloat16,
        .n = n,
        .k = k,
        .m = m,
        .x = m > 1 ? tokens.get() : x,
        .bias = args.bias,
        .y = args.y + first * n};
    executor.parallel_for(0, parts.tiles, kernels::tile_grain(m, k), [&](std::int64_t lo, std::int64_t hi) {
      const kernels::AlignedBuffer scratch = kernels::allocate(kernel.scratch(call));
      kernel.linear(call, lo, hi, scratch.get());
    });
  }
}

}  // namespace fairopt
