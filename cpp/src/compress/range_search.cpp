#include "fairopt/range_search.h"

#include <cmath>

#include "compress/block_parts.h"
#include "kernels/require.h"

namespace fairopt {
namespace {

using compress::BlockParts;
using compress::Trial;

constexpr const char* op = "range_search";
constexpr float kMargin = 0x1p-14f;   // of a sum, above what the powers and the summation may be off
constexpr std::int64_t kGrain = 512;  // values a thread should get at least: some microseconds of work

void check(const RangeSearchOptions& options) {
  kernels::require(options.grid >= 1 && options.grid <= 100, op, "grid must be in [1, 100], got {}", options.grid);
  kernels::require(options.norm >= 0.5 && options.norm <= 8.0, op, "norm must be in [0.5, 8], got {}", options.norm);
}

/// The share of the block's range that is kept.
float best_share(const float* values, std::int64_t n, float low, float high, Format format,
                 const RangeSearchOptions& options, Trial& trial) {
  const kernels::KernelTable& table = kernels::table();
  const auto exponent = static_cast<float>(options.norm);
  float unit = 1.0f, best = 1.0f, least = 0.0f;
  for (int i = 0; i < options.grid; ++i) {
    const float share = 1.0f - 0.01f * static_cast<float>(i);
    const float from = share * low, to = share * high;
    table.quantize_in_range[static_cast<int>(format)](values, {n, n}, &from, &to, trial.parts());
    if (i == 0) {
      if (trial.scale() == 0.0f) return best;
      unit = 1.0f / std::fabs(trial.scale());
    }
    const float sum = table.sum_of_powers(values, trial.values(n), n, unit, exponent);
    if (i == 0 || sum < least) {
      best = share;
      least = i == 0 ? sum * (1.0f - kMargin) : sum;
    }
  }
  return best;
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
  const std::int64_t longest = std::min(layout.block, layout.cols);
  const auto body = [&](std::int64_t first, std::int64_t last) {
    Trial trial(layout.format, longest);
    for (; first < last; ++first) {
      const BlockParts block = compress::block_parts(layout, out, first);
      const float* values = weight + block.value;
      const auto [low, high] = std::minmax_element(values, values + block.n);
      const float share = best_share(values, block.n, *low, *high, layout.format, options, trial);
      const float from = share * *low, to = share * *high;
      finish(values, {block.n, layout.block}, &from, &to, block.parts);
    }
  };
  executor.parallel_for(0, layout.rows * layout.blocks_per_row(), kGrain / longest + 1, body);
}

}  // namespace fairopt
