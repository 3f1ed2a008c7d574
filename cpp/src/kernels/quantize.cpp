#include "fairopt/quantize.h"

#include <algorithm>
#include <atomic>
#include <limits>

#include "kernels/aligned_buffer.h"
#include "kernels/cpu/table.h"
#include "kernels/elements.h"
#include "kernels/formats.h"
#include "kernels/huge_pages.h"
#include "kernels/require.h"

namespace fairopt {
namespace {

using kernels::require;

static_assert(kFormatCount == kernels::kFormats);
constexpr std::int64_t kGrain = 16384;  // values a thread should get at least: some microseconds of work

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// Consecutive blocks of one row, or a part of one block, and where their parts lie.
struct Run {
  kernels::BlockRun blocks;
  std::int64_t value;  ///< of its first value, in the dense matrix
  std::int64_t code;   ///< of its first code, in bytes
  std::int64_t scale;  ///< of its first scale and zero point
};

/// At most `most` values, but at least a block, from block `first` on to block `last` or the end of the row.
Run run_of_blocks(const QuantizedLayout& layout, std::int64_t first, std::int64_t last, std::int64_t most) {
  const std::int64_t per_row = layout.blocks_per_row(), row = first / per_row, column = first % per_row * layout.block;
  const std::int64_t longest = std::max<std::int64_t>(most / layout.block, 1);
  const std::int64_t blocks = std::min({longest, last - first, per_row - first % per_row});
  return {{std::min(blocks * layout.block, layout.cols - column), layout.block},
          row * layout.cols + column,
          row * layout.bytes_per_row() + column * code_bits(layout.format) / 8,
          first};
}

/// Calls body(first, last) for ranges of blocks that cover the matrix, in parallel.
void for_each_range(const QuantizedLayout& layout, Executor& executor, const Executor::Body& body) {
  const std::int64_t values = std::min(layout.block, layout.cols);
  executor.parallel_for(0, layout.rows * layout.blocks_per_row(), ceil_div(kGrain, values), body);
}

std::int64_t blocks_in(const Run& run) { return ceil_div(run.blocks.n, run.blocks.block); }

template <class T>
T* at(T* p, std::int64_t offset) {
  return p == nullptr ? nullptr : p + offset;
}

}  // namespace

std::int64_t QuantizedLayout::blocks_per_row() const { return ceil_div(cols, block); }
std::int64_t QuantizedLayout::bytes_per_row() const {  // whole groups first: cols * bits could overflow
  return cols / 8 * code_bits(format) + ceil_div(cols % 8 * code_bits(format), 8);
}

void check(const QuantizedLayout& layout, const char* op) {
  require(layout.block >= formats::kMinBlock && layout.block <= formats::kMaxBlock &&
              layout.block % formats::kMinBlock == 0,
          op, "block must be a multiple of {} in [{}, {}], got {}", formats::kMinBlock, formats::kMinBlock,
          formats::kMaxBlock, layout.block);
  require(layout.rows >= 0 && layout.cols >= 0, op, "shape must be non-negative, got [{}, {}]", layout.rows,
          layout.cols);
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max() / 8;  // 8: no offset in bytes can overflow
  require(layout.cols <= kMost / std::max<std::int64_t>(layout.rows, 1), op,
          "shape must have at most 2^60 values, got [{}, {}]", layout.rows, layout.cols);
}

void check(const QuantizedView& view, Format format, const char* op, const char* argument) {
  require(view.codes != nullptr && view.scales != nullptr, op, "{}.codes and {}.scales must not be null", argument,
          argument);
  const ZeroPoint kind = zero_point(format);
  require(kind != ZeroPoint::kInteger || view.zeros != nullptr, op, "{}.zeros must not be null for {}", argument,
          name(format));
  require(kind != ZeroPoint::kFloat || view.float_zeros != nullptr, op, "{}.float_zeros must not be null for {}",
          argument, name(format));
}

void quantize(const void* source, DType dtype, const QuantizedLayout& layout, const QuantizedBuffers& out,
              Executor& executor) {
  check(layout, "quantize");
  if (layout.rows == 0 || layout.cols == 0) return;
  require(source != nullptr, "quantize", "source must not be null");
  check({out.codes, out.scales, out.zeros, out.float_zeros}, layout.format, "quantize", "out");
  const auto kernel = kernels::table().quantize[static_cast<int>(layout.format)];
  for_each_range(layout, executor, [&](std::int64_t first, std::int64_t last) {
    const std::int64_t longest = std::max(std::min(layout.block, layout.cols), kernels::kMaxRun);
    const kernels::AlignedBuffer buffer = kernels::allocate(dtype == DType::kFloat32 ? 0 : longest);
    while (first < last) {
      const Run run = run_of_blocks(layout, first, last, kernels::kMaxRun);
      const float* values = kernels::as_floats(source, dtype, run.value, run.blocks.n, buffer.get());
      kernel(values, run.blocks,
             {out.codes + run.code, out.scales + run.scale, at(out.zeros, run.scale), at(out.float_zeros, run.scale)});
      first += blocks_in(run);
    }
  });
}

void dequantize(const QuantizedView& in, const QuantizedLayout& layout, void* target, DType dtype, Executor& executor) {
  check(layout, "dequantize");
  if (layout.rows == 0 || layout.cols == 0) return;
  require(target != nullptr, "dequantize", "target must not be null");
  check(in, layout.format, "dequantize", "in");
  kernels::prefer_huge_pages(static_cast<std::uint8_t*>(target),
                             layout.rows * layout.cols * (dtype == DType::kFloat32 ? 4 : 2));
  const auto kernel = kernels::table().dequantize[static_cast<int>(layout.format)];
  const int bits = code_bits(layout.format);
  for_each_range(layout, executor, [&](std::int64_t first, std::int64_t last) {
    float buffer[kernels::kMaxRun];
    while (first < last) {
      const Run run = run_of_blocks(layout, first, last, kernels::kMaxRun);
      const kernels::ConstRunParts parts{in.codes + run.code, in.scales + run.scale, at(in.zeros, run.scale),
                                         at(in.float_zeros, run.scale)};
      for (std::int64_t done = 0; done < run.blocks.n; done += kernels::kMaxRun) {  // more than one: parts of a block
        kernels::ConstRunParts part = parts;
        part.codes += done * bits / 8;
        const std::int64_t n = std::min(kernels::kMaxRun, run.blocks.n - done), value = run.value + done;
        const bool fp32 = dtype == DType::kFloat32;
        kernel(part, {n, layout.block}, fp32 ? static_cast<float*>(target) + value : buffer);
        if (!fp32) kernels::store_rounded(buffer, n, target, dtype, value);
      }
      first += blocks_in(run);
    }
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
