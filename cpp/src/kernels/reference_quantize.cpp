#include "kernels/reference_quantize.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "kernels/scalar_codec.h"

namespace fairopt::kernels::reference {

namespace {

/// `fit_block(block, values, n)` is the scaling of a block.
template <class FitBlock>
void quantize_blocks(Format format, const float* values, BlockRun run, RunParts out, const FitBlock& fit_block) {
  const int bits = code_bits(format);
  const std::int64_t bytes = (run.n * bits + 7) / 8;
  Scaling scaling;
  for (std::int64_t i = 0; i < run.n; ++i) {
    if (const std::int64_t block = i / run.block; i % run.block == 0) {
      scaling = fit_block(block, values + i, std::min(run.block, run.n - i));
      out.scales[block] = scaling.scale;
      if (zero_point(format) == ZeroPoint::kInteger) out.zeros[block] = static_cast<std::uint8_t>(scaling.zero);
      if (zero_point(format) == ZeroPoint::kFloat) out.float_zeros[block] = scaling.float_zero;
    }
    write_code(out.codes, bytes, bits, i, encode(format, values[i], scaling));
  }
  for (std::int64_t i = run.n; run.n > 0 && i * bits < 8 * bytes; ++i) {
    write_code(out.codes, bytes, bits, i, encode(format, 0.0f, scaling));
  }
}

}  // namespace

void quantize(Format format, const float* values, BlockRun run, RunParts out) {
  quantize_blocks(format, values, run, out,
                  [&](std::int64_t, const float* x, std::int64_t n) { return fit(format, x, n); });
}

void quantize_in_range(Format format, const float* values, BlockRun run, const float* lows, const float* highs,
                       RunParts out) {
  quantize_blocks(format, values, run, out, [&](std::int64_t block, const float*, std::int64_t) {
    const float range[] = {lows[block], highs[block]};
    return fit(format, range, 2);
  });
}

void dequantize(Format format, ConstRunParts in, BlockRun run, float* values) {
  for (std::int64_t i = 0; i < run.n; ++i) {
    Scaling scaling{.scale = in.scales[i / run.block]};
    if (zero_point(format) == ZeroPoint::kInteger) scaling.zero = in.zeros[i / run.block];
    if (zero_point(format) == ZeroPoint::kFloat) scaling.float_zero = in.float_zeros[i / run.block];
    values[i] = decode(format, read_code(in.codes, code_bits(format), i), scaling);
  }
}

float from_f16(std::uint16_t bits) {
  const float sign = (bits & 0x8000) != 0 ? -1.0f : 1.0f;
  const int exponent = bits >> 10 & 31, mantissa = bits & 0x3ff;
  if (exponent == 31) return mantissa != 0 ? std::numeric_limits<float>::quiet_NaN() : sign * INFINITY;
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(mantissa), -24);
  return sign * std::ldexp(static_cast<float>(1024 + mantissa), exponent - 25);
}

float from_bf16(std::uint16_t bits) { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }

std::uint16_t to_f16(float value) {
  const std::uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  const float magnitude = std::fabs(value);
  if (std::isnan(value)) return sign | 0x7e00;
  if (magnitude >= 65520.0f) return sign | 0x7c00;
  // In units of the last place the nearest integer is the answer; a carry runs into the exponent by itself.
  const int exponent = std::max(magnitude > 0.0f ? std::ilogb(magnitude) : -14, -14);
  const auto units = static_cast<int>(std::nearbyint(std::ldexp(magnitude, 10 - exponent)));
  return static_cast<std::uint16_t>(sign | ((exponent + 14) * 1024 + units));
}

std::uint16_t to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto upper = static_cast<std::uint16_t>(bits >> 16);
  if (std::isnan(value)) return upper | 0x40;
  const std::uint32_t lower = bits & 0xffff;
  const bool up = lower > 0x8000 || (lower == 0x8000 && (upper & 1) != 0);
  return static_cast<std::uint16_t>(upper + (up ? 1 : 0));
}

}  // namespace fairopt::kernels::reference
