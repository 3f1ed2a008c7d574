// The door's half of the exact arithmetic: chunks of tokens, threads, working memory.
#include <algorithm>

#include "kernels/aligned_buffer.h"
#include "kernels/packed_arithmetic.h"
#include "kernels/packed_format.h"

namespace fairopt::kernels {
namespace {

constexpr std::int64_t kTokensAtOnce = 96;

}  // namespace

void packed_exact(const PackedLinearArgs& args, const std::vector<std::int64_t>& tokens, Executor& executor) {
  const auto count = static_cast<std::int64_t>(tokens.size());
  const KernelTable& kernel = table();
  for (std::int64_t first = 0; first < count; first += kTokensAtOnce) {
    const PackedLinear call = packed_call(args, tokens.data() + first, std::min(kTokensAtOnce, count - first));
    const std::int64_t tiles = (call.n + kTileRows - 1) / kTileRows;
    executor.parallel_for(0, tiles, tile_grain(call.m, call.k), [&](std::int64_t lo, std::int64_t hi) {
      const AlignedBuffer scratch = allocate(kernel.packed_exact_scratch(call));
      kernel.packed_exact(call, args.x, lo, hi, scratch.get());
    });
  }
}

}  // namespace fairopt::kernels
