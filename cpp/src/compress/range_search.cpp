#include "fairopt/range_search.h"

#include <algorithm>

#include "compress/block_parts.h"
#include "kernels/require.h"

namespace fairopt {
namespace {

using compress::BlockParts;

constexpr const char* op = "range_search";
constexpr std::int64_t kGrain = 512;  // values a thread should get at least: some microseconds of work

void check(const RangeSearchOptions& options) {
  kernels::require(options.grid >= 1 && options.grid <= 100, op, "grid must be in [1, 100], got {}", options.grid);
  kernels::require(options.norm >= 0.5 && options.norm <= 8.0, op, "norm must be in [0.5, 8], got {}", options.norm);
}

}  // namespace

void range_search(const float* weight, const QuantizedLayout& layout, const RangeSearchOptions& options,
                  const QuantizedBuffers& out, Executor& executor) {
  check(layout, op);
  check(options);
  if (layout.rows == 0 || layout.cols == 0) return;
  kernels::require(weight != nullptr, op, "weight must not be null");
  check({out.codes, out.scales, out.zeros, out.float_zeros}, layout.format, op, "out");
  const auto finish = kernels::table().quantize_in_range[static_cast<int>(layout.format)];
  const auto best_share = kernels::table().best_share[static_cast<int>(layout.format)];
  const kernels::RangeGrid grid{options.grid, static_cast<float>(options.norm)};
  const std::int64_t longest = std::min(layout.block, layout.cols);
  const auto body = [&](std::int64_t first, std::int64_t last) {
    for (; first < last; ++first) {
      const BlockParts block = compress::block_parts(layout, out, first);
      const float* values = weight + block.value;
      const auto [low, high] = std::minmax_element(values, values + block.n);
      const float share = best_share(values, block.n, *low, *high, grid);
      const float from = share * *low, to = share * *high;
      finish(values, {block.n, layout.block}, &from, &to, block.parts);
    }
  };
  executor.parallel_for(0, layout.rows * layout.blocks_per_row(), kGrain / longest + 1, body);
}

}  // namespace fairopt
