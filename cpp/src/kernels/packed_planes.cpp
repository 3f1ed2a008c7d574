// The door's half of the integer arithmetic: activations to digit planes, then tiles over the threads.
#include <algorithm>

#include "kernels/aligned_buffer.h"
#include "kernels/packed_arithmetic.h"
#include "kernels/packed_format.h"

namespace fairopt::kernels {
namespace {

constexpr std::int64_t kTokensAtOnce = 96;  // their sums and the digits of a block stay in the second-level cache

int planes_of(MatmulMode mode) { return mode == MatmulMode::kA8 ? 1 : mode == MatmulMode::kA24 ? 3 : 2; }

std::int64_t round_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b * b; }

/// Bytes of a plane of one block: whole dwords, and off the powers of two that would share sets of the first cache.
std::int64_t plane_stride(const PackedLinear& call) {
  const std::int64_t columns = round_up(std::min(call.block, call.k), 16);
  return columns < 512 ? columns : round_up(columns, 64) + 64;
}

}  // namespace

void packed_planes(const PackedLinearArgs& args, MatmulMode mode, const std::vector<std::int64_t>& tokens,
                   Executor& executor) {
  const auto count = static_cast<std::int64_t>(tokens.size());
  const std::int64_t most = std::min(kTokensAtOnce, count);
  const KernelTable& kernel = table();
  const PackedLinear whole = packed_call(args, tokens.data(), most);
  Planes planes{.planes = planes_of(mode),
                .codebook = mode == MatmulMode::kI16,
                .stride = plane_stride(whole),
                .digits = nullptr,
                .rows = nullptr,
                .starts = nullptr};
  const std::int64_t digit_bytes = round_up(whole.blocks * most * planes.planes * planes.stride, 64);
  const std::int64_t row_bytes = whole.blocks * most * static_cast<std::int64_t>(sizeof(ActivationBlock));
  const std::int64_t start_bytes =
      whole.blocks * most * planes.planes * static_cast<std::int64_t>(sizeof(std::int32_t));
  const AlignedBuffer memory = allocate((digit_bytes + row_bytes + start_bytes) / 4);
  planes.digits = reinterpret_cast<std::int8_t*>(memory.get());
  planes.rows = reinterpret_cast<ActivationBlock*>(planes.digits + digit_bytes);
  planes.starts = reinterpret_cast<std::int32_t*>(planes.digits + digit_bytes + row_bytes);
  for (std::int64_t first = 0; first < count; first += kTokensAtOnce) {
    const PackedLinear call = packed_call(args, tokens.data() + first, std::min(kTokensAtOnce, count - first));
    executor.parallel_for(0, call.m, row_grain(call.k), [&](std::int64_t lo, std::int64_t hi) {
      kernel.quantize_activations(call, planes, args.x, lo, hi);
    });
    const std::int64_t tiles = (call.n + kTileRows - 1) / kTileRows;
    executor.parallel_for(0, tiles, tile_grain(call.m, call.k), [&](std::int64_t lo, std::int64_t hi) {
      const AlignedBuffer scratch = allocate(kernel.packed_planes_scratch(call, planes));
      kernel.packed_planes(call, planes, lo, hi, scratch.get());
    });
  }
}

}  // namespace fairopt::kernels
