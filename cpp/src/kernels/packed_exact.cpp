// The door's half of the exact arithmetic: activations to the order of the codes, then tiles over the threads.
#include <algorithm>

#include "kernels/aligned_buffer.h"
#include "kernels/packed_arithmetic.h"
#include "kernels/packed_format.h"

namespace fairopt::kernels {
namespace {

constexpr std::int64_t kTokensAtOnce = 128;  // a weight is decoded once for so many

void multiply(const ExactKernels& kernel, const PackedLinearArgs& args, const std::vector<std::int64_t>& tokens,
              Executor& executor) {
  const auto count = static_cast<std::int64_t>(tokens.size());
  if (count == 0) return;
  const std::int64_t most = std::min(kTokensAtOnce, count);
  const AlignedBuffer activations = allocate(kernel.activations_size(packed_call(args, tokens.data(), most)));
  for (std::int64_t first = 0; first < count; first += kTokensAtOnce) {
    const PackedLinear call = packed_call(args, tokens.data() + first, std::min(kTokensAtOnce, count - first));
    executor.parallel_for(0, call.m, row_grain(call.k), [&](std::int64_t lo, std::int64_t hi) {
      kernel.activations(call, args.x, lo, hi, activations.get());
    });
    const std::int64_t tiles = (call.n + kTileRows - 1) / kTileRows;
    executor.parallel_for(0, tiles, tile_grain(call.m, call.k), [&](std::int64_t lo, std::int64_t hi) {
      const AlignedBuffer scratch = allocate(kernel.scratch(call));
      kernel.linear(call, activations.get(), lo, hi, scratch.get());
    });
  }
}

}  // namespace

void packed_exact(const PackedLinearArgs& args, const std::vector<std::int64_t>& tokens, Executor& executor) {
  const Bf16Kernels* bf16 = table().bf16;
  if (bf16 == nullptr || packed_codes(args.layout.format).codebook != nullptr) {
    return multiply(table().exact, args, tokens, executor);
  }
  std::vector<std::int64_t> pairs, others;
  for (const std::int64_t token : tokens) {
    (bf16->holds_bf16(args.x + token * args.layout.cols, args.layout.cols) ? pairs : others).push_back(token);
  }
  multiply(bf16->exact, args, pairs, executor);
  multiply(table().exact, args, others, executor);
}

}  // namespace fairopt::kernels
