#include "fairopt/double_quantize.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/cpu/table.h"
#include "kernels/formats.h"
#include "kernels/require.h"

namespace fairopt {
namespace {

using formats::kNestedBlock;
using kernels::require;

constexpr std::int64_t kGrain = 64;  // nested blocks a thread should get at least: some microseconds of work

/// The nearest of the map, the lower one in a tie. The map holds 1, so nothing lies above it.
std::uint8_t nearest(float x) {
  const float* map = formats::kDynamicMap.values;
  const auto above = static_cast<int>(std::upper_bound(map, map + 255, x) - map);  // the first value greater than x
  const int below = std::max(above - 1, 0);
  return static_cast<std::uint8_t>(map[above] - x < x - map[below] ? above : below);
}

void quantize_block(const float* scales, std::int64_t n, float offset, std::uint8_t* codes, float& nested) {
  nested = 0.0f;
  for (std::int64_t i = 0; i < n; ++i) nested = std::max(nested, std::fabs(scales[i] - offset));
  for (std::int64_t i = 0; i < n; ++i) {
    codes[i] = nested == 0.0f ? formats::kDynamicZero : nearest((scales[i] - offset) / nested);
  }
}

/// Calls body(block, first scale, scales) for every nested block.
template <class Body>
void for_each_block(std::int64_t n, Executor& executor, const Body& body) {
  executor.parallel_for(0, nested_blocks(n), kGrain, [&](std::int64_t lo, std::int64_t hi) {
    for (std::int64_t block = lo; block < hi; ++block) {
      body(block, block * kNestedBlock, std::min(kNestedBlock, n - block * kNestedBlock));
    }
  });
}

}  // namespace

const float* dynamic_map() { return formats::kDynamicMap.values; }

std::int64_t nested_blocks(std::int64_t n) { return (n + kNestedBlock - 1) / kNestedBlock; }

void double_quantize(const float* scales, std::int64_t n, const NestedBuffers& out, Executor& executor) {
  constexpr const char* op = "double_quantize";
  require(n >= 0, op, "n must be non-negative, got {}", n);
  require(out.offset != nullptr, op, "out.offset must not be null");
  require(n == 0 || (scales != nullptr && out.codes != nullptr && out.scales != nullptr), op,
          "scales, out.codes and out.scales must not be null");
  const float offset =
      n == 0 ? 0.0f : static_cast<float>(std::accumulate(scales, scales + n, 0.0) / static_cast<double>(n));
  *out.offset = offset;
  for_each_block(n, executor, [&](std::int64_t block, std::int64_t first, std::int64_t count) {
    quantize_block(scales + first, count, offset, out.codes + first, out.scales[block]);
  });
}

void double_dequantize(const NestedView& in, std::int64_t n, float* scales, Executor& executor) {
  constexpr const char* op = "double_dequantize";
  require(n >= 0, op, "n must be non-negative, got {}", n);
  require(n == 0 || (scales != nullptr && in.codes != nullptr && in.scales != nullptr && in.offset != nullptr), op,
          "scales, in.codes, in.scales and in.offset must not be null");
  for_each_block(n, executor, [&](std::int64_t block, std::int64_t first, std::int64_t count) {
    kernels::table().double_dequantize(in.codes + first, count, in.scales[block], *in.offset, scales + first);
  });
}

}  // namespace fairopt
