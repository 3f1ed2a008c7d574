// sparse_linear: checks, activations in the order of the chunks, tiles over the threads.
#include <algorithm>
#include <atomic>
#include <cstring>

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

/// Tokens [lo, hi) of x [m, k] to [chunk][m][kSparseChunk], zeros behind column k.
void pack_tokens(const float* x, std::int64_t m, std::int64_t k, std::int64_t lo, std::int64_t hi, float* packed) {
  for (std::int64_t t = lo; t < hi; ++t) {
    for (std::int64_t first = 0; first < k; first += kSparseChunk) {
      const std::int64_t columns = std::min(kSparseChunk, k - first);
      float* to = packed + first * m + t * kSparseChunk;
      std::copy_n(x + t * k + first, columns, to);
      std::fill(to + columns, to + kSparseChunk, 0.0f);
    }
  }
}

/// Packs x as pairs for `dots`. False where they would not give the bits of the fp32 products: sparse_dots.inl.h.
bool pack_pairs(const kernels::SparseDots& dots, const float* x, std::int64_t m, const kernels::SparseHeader& header,
                float* pairs, Executor& executor) {
  constexpr std::int64_t kEnough = 142;  // of both smallest exponents together
  if (header.exponent == kernels::kNoExponent) return false;
  std::atomic<bool> exact = true;
  executor.parallel_for(0, m, kernels::row_grain(header.cols), [&](std::int64_t lo, std::int64_t hi) {
    if (!exact) return;
    if (dots.pack(x, m, header.cols, lo, hi, pairs) + header.exponent < kEnough) exact = false;
  });
  return exact;
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
  kernels::SparseHeader header;
  std::memcpy(&header, args.packed, sizeof header);
  const kernels::Bf16Kernels* bf16 = kernels::table().bf16;
  const kernels::AlignedBuffer tokens = kernels::allocate(most * padded);
  for (std::int64_t first = 0; first < args.m; first += kTokensAtOnce) {
    const std::int64_t m = std::min(args.m - first, kTokensAtOnce);
    const float* x = args.x + first * k;
    const bool by_pairs = bf16 != nullptr && pack_pairs(bf16->sparse, x, m, header, tokens.get(), executor);
    if (!by_pairs) {
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
        .x = tokens.get(),
        .bias = args.bias,
        .y = args.y + first * n};
    executor.parallel_for(0, parts.tiles, kernels::tile_grain(m, k), [&](std::int64_t lo, std::int64_t hi) {
      const kernels::AlignedBuffer scratch = kernels::allocate(kernel.scratch(call));
      (by_pairs ? bf16->sparse.linear : kernel.linear)(call, lo, hi, scratch.get());
    });
  }
}

}  // namespace fairopt
