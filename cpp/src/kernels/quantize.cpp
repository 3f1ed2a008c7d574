#include "fairopt/quantize.h"

#include <algorithm>
#include <atomic>
#include <limits>

#include "kernels/cpu/table.h"
#include "kernels/elements.h"
#include "kernels/formats.h"
#include "kernels/require.h"

namespace fairopt {
namespace {

using kernels::require;

static_assert(static_cast<int>(Format::kFp4) + 1 == kernels::kFormats);
constexpr std::int64_t kGrain = 16384;  // values a thread should get at least: some microseconds of work

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// Consecutive blocks of one row and where their parts lie.
struct Run {
  kernels::BlockRun blocks;
  std::int64_t value;  ///< of its first value, in the dense matrix
  std::int64_t code;   ///< of its first code, in bytes
  std::int64_t scale;  ///< of its first scale and zero point
};

/// Calls body for runs of at most kMaxRun values that cover all blocks, in parallel.
template <class Body>
void for_each_run(const QuantizedLayout& layout, Executor& executor, const Body& body) {
  const std::int64_t per_row = layout.blocks_per_row(), block = layout.block;
  const std::int64_t longest = kernels::kMaxRun / block;
  const auto range = [&](std::int64_t first, std::int64_t last) {
    while (first < last) {
      const std::int64_t row = first / per_row, column = first % per_row * block;
      const std::int64_t blocks = std::min({longest, last - first, per_row - first % per_row});
      const std::int64_t n = std::min(blocks * block, layout.cols - column);
      body(Run{{n, block},
               row * layout.cols + column,
               row * layout.bytes_per_row() + column * code_bits(layout.format) / 8,
               first});
      first += blocks;
    }
  };
  executor.parallel_for(0, layout.rows * per_row, ceil_div(kGrain, block), range);
}

}  // namespace

std::int64_t QuantizedLayout::blocks_per_row() const { return ceil_div(cols, block); }
std::int64_t QuantizedLayout::bytes_per_row() const { return code_bits(format) == 8 ? cols : ceil_div(cols, 2); }

void check(const QuantizedLayout& layout, const char* op) {
  require(layout.block >= formats::kMinBlock && layout.block <= formats::kMaxBlock &&
              layout.block % formats::kMinBlock == 0,
          op, "block must be a multiple of {} in [{}, {}], got {}", formats::kMinBlock, formats::kMinBlock,
          formats::kMaxBlock, layout.block);
  require(layout.rows >= 0 && layout.cols >= 0, op, "shape must be non-negative, got [{}, {}]", layout.rows,
          layout.cols);
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max() / 8;  // 8: no offset in bytes can overflow
  require(layout.rows == 0 || layout.cols <= kMost / layout.rows, op,
          "shape must have at most 2^60 values, got [{}, {}]", layout.rows, layout.cols);
}

void quantize(const void* source, DType dtype, const QuantizedLayout& layout, const QuantizedBuffers& out,
              Executor& executor) {
  check(layout, "quantize");
  if (layout.rows == 0 || layout.cols == 0) return;
  require(source != nullptr, "quantize", "source must not be null");
  require(out.codes != nullptr && out.scales != nullptr, "quantize", "out.codes and out.scales must not be null");
  const bool zeros = has_zeros(layout.format);
  require(!zeros || out.zeros != nullptr, "quantize", "out.zeros must not be null for {}", name(layout.format));
  const auto kernel = kernels::table().quantize[static_cast<int>(layout.format)];
  for_each_run(layout, executor, [&](const Run& run) {
    float buffer[kernels::kMaxRun];
    const float* values = kernels::as_floats(source, dtype, run.value, run.blocks.n, buffer);
    kernel(values, run.blocks, out.codes + run.code, out.scales + run.scale, zeros ? out.zeros + run.scale : nullptr);
  });
}

void dequantize(const QuantizedView& in, const QuantizedLayout& layout, void* target, DType dtype, Executor& executor) {
  check(layout, "dequantize");
  if (layout.rows == 0 || layout.cols == 0) return;
  require(target != nullptr, "dequantize", "target must not be null");
  require(in.codes != nullptr && in.scales != nullptr, "dequantize", "in.codes and in.scales must not be null");
  const bool zeros = has_zeros(layout.format);
  require(!zeros || in.zeros != nullptr, "dequantize", "in.zeros must not be null for {}", name(layout.format));
  const auto kernel = kernels::table().dequantize[static_cast<int>(layout.format)];
  for_each_run(layout, executor, [&](const Run& run) {
    const std::uint8_t* zero = zeros ? in.zeros + run.scale : nullptr;
    if (dtype == DType::kFloat32) {
      kernel(in.codes + run.code, in.scales + run.scale, zero, run.blocks, static_cast<float*>(target) + run.value);
      return;
    }
    float buffer[kernels::kMaxRun];
    kernel(in.codes + run.code, in.scales + run.scale, zero, run.blocks, buffer);
    kernels::store_rounded(buffer, run.blocks.n, target, dtype, run.value);
  });
}

std::int64_t count_nonfinite(const void* source, DType dtype, std::int64_t n, Executor& executor) {
  require(n >= 0, "count_nonfinite", "n must be non-negative, got {}", n);
  require(n == 0 || source != nullptr, "count_nonfinite", "source must not be null");
  std::atomic<std::int64_t> found = 0;
  executor.parallel_for(0, n, kGrain, [&](std::int64_t first, std::int64_t last) {
    for (; first < last; first += kernels::kMaxRun) {
      float buffer[kernels::kMaxRun];
      const std::int64_t run = std::min(kernels::kMaxRun, last - first);
      found += kernels::table().count_nonfinite(kernels::as_floats(source, dtype, first, run, buffer), run);
    }
  });
  return found;
}

}  // namespace fairopt
