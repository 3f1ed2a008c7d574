#include "fairopt/quantized_linear.h"

#include <algorithm>
#include <cstring>

#include "kernels/aligned_buffer.h"
#include "kernels/cpu/table.h"
#include "kernels/formats.h"
#include "kernels/require.h"

namespace fairopt {
namespace {

using kernels::require;

constexpr std::int64_t kTokensAtOnce = 96;              // their activations and sums stay in the second-level cache
constexpr std::int64_t kRowsAtOnce = 8;                 // ranges of threads start at whole groups of rows
constexpr std::int64_t kGrain = std::int64_t{1} << 19;  // products a thread should get at least: some microseconds

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// The value of every 4-bit code at scale 1. With integer zero points the values are code - zero: a window on a ramp,
/// which is long enough for any byte.
struct Codebook {
  static constexpr int kMostZero = 255;
  float ramp[kMostZero + 16];
  explicit Codebook(Format format) {
    const int offset = formats::offset(formats::kSpecs[static_cast<int>(format)]);
    for (int i = 0; i < kMostZero + 16; ++i) ramp[i] = static_cast<float>(i - kMostZero - offset);
    if (format == Format::kNf4) std::memcpy(ramp + kMostZero, formats::kNf4, sizeof formats::kNf4);
    if (format == Format::kFp4) std::memcpy(ramp + kMostZero, formats::kFp4, sizeof formats::kFp4);
  }
  const float* values() const { return ramp + kMostZero; }
};

void check(const QuantizedLinearArgs& args) {
  const QuantizedLayout& layout = args.layout;
  check(layout, "quantized_linear");
  require(args.m >= 0, "quantized_linear", "m must be non-negative, got {}", args.m);
  if (args.m == 0 || layout.rows == 0) return;
  require(args.y != nullptr, "quantized_linear", "y must not be null");
  if (layout.cols == 0) return;
  require(args.x != nullptr, "quantized_linear", "x must not be null");
  check(args.weight, layout.format, "quantized_linear", "weight");
}

/// Without columns the product is 0.
void write_bias(const QuantizedLinearArgs& args) {
  const std::int64_t n = args.layout.rows;
  for (std::int64_t i = 0; i < args.m * n; ++i) args.y[i] = args.bias == nullptr ? 0.0f : args.bias[i % n];
}

}  // namespace

void quantized_linear(const QuantizedLinearArgs& args, Executor& executor) {
  check(args);
  const std::int64_t n = args.layout.rows, k = args.layout.cols;
  if (args.m == 0 || n == 0) return;
  if (k == 0) return write_bias(args);
  const Codebook codebook(args.layout.format);
  const std::int64_t packed_k = ceil_div(k, kernels::kLinearBlockK) * kernels::kLinearBlockK;
  const kernels::AlignedBuffer packed = kernels::allocate(std::min(args.m, kTokensAtOnce) * packed_k);
  const kernels::KernelTable& kernel = kernels::table();
  const Format format = args.layout.format;
  const ZeroPoint zero = zero_point(format);
  const bool nibbles = code_bits(format) == 4, direct = nibbles || format == Format::kInt8;
  for (std::int64_t token = 0; token < args.m; token += kTokensAtOnce) {
    kernels::QuantizedLinear call{
        .x = packed.get(),
        .m = std::min(args.m - token, kTokensAtOnce),
        .n = n,
        .k = k,
        .codes = args.weight.codes,
        .scales = args.weight.scales,
        .zeros = zero == ZeroPoint::kInteger ? args.weight.zeros : nullptr,
        .float_zeros = zero == ZeroPoint::kFloat ? args.weight.float_zeros : nullptr,
        .codebook = nibbles ? codebook.values() : nullptr,
        .dequantize = direct ? nullptr : kernel.dequantize[static_cast<int>(format)],
        .bits = code_bits(format),
        .bytes_per_row = args.layout.bytes_per_row(),
        .blocks_per_row = args.layout.blocks_per_row(),
        .block = args.layout.block,
        .bias = args.bias,
        .y = args.y + token * n,
    };
    executor.parallel_for(0, call.m, ceil_div(kGrain, k), [&](std::int64_t lo, std::int64_t hi) {
      kernel.pack_activations(call, args.x + token * k, packed.get(), lo, hi);
    });
    const std::int64_t grain = ceil_div(kGrain, call.m * k * kRowsAtOnce);
    executor.parallel_for(0, ceil_div(n, kRowsAtOnce), grain, [&](std::int64_t lo, std::int64_t hi) {
      const kernels::AlignedBuffer scratch = kernels::allocate(kernel.quantized_linear_scratch(call));
      kernel.quantized_linear(call, lo * kRowsAtOnce, std::min(hi * kRowsAtOnce, n), scratch.get());
    });
  }
}

}  // namespace fairopt
