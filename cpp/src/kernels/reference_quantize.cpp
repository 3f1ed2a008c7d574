#include "kernels/reference_quantize.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "kernels/formats.h"

namespace fairopt::kernels::reference {
namespace {

struct Scaling {
  float scale;
  std::uint8_t zero;
};

float amax(const float* x, std::int64_t n) {
  float most = 0.0f;
  for (std::int64_t i = 0; i < n; ++i) most = std::max(most, std::fabs(x[i]));
  return most;
}

float divisor(float scale) { return scale > 0.0f ? scale : 1.0f; }

Scaling asymmetric(const float* x, std::int64_t n) {
  float low = 0.0f, high = 0.0f;
  for (std::int64_t i = 0; i < n; ++i) {
    low = std::min(low, x[i]);
    high = std::max(high, x[i]);
  }
  const float scale = (0.5f * high - 0.5f * low) / (0.5f * formats::kInt4AsymLevels);
  const float zero = std::clamp(std::nearbyint(-low / divisor(scale)), 0.0f, formats::kInt4AsymLevels);
  return {scale, static_cast<std::uint8_t>(zero)};
}

Scaling fit(Format format, const float* x, std::int64_t n) {
  switch (format) {
    case Format::kInt8:
      return {amax(x, n) / formats::kInt8Max, 0};
    case Format::kInt4Sym:
      return {amax(x, n) / formats::kInt4SymDivisor, 0};
    case Format::kInt4Asym:
      return asymmetric(x, n);
    default:
      return {amax(x, n), 0};
  }
}

/// How many of the sorted thresholds x is strictly greater than.
template <std::size_t kCount>
std::size_t rank(const float (&thresholds)[kCount], float x) {
  std::size_t r = 0;
  while (r < kCount && x > thresholds[r]) ++r;
  return r;
}

std::uint8_t encode(Format format, float ratio, int zero) {
  const float q = std::nearbyint(ratio);
  switch (format) {
    case Format::kInt8:
      return static_cast<std::uint8_t>(static_cast<int>(std::clamp(q, -formats::kInt8Max, formats::kInt8Max)));
    case Format::kInt4Sym:
      return static_cast<std::uint8_t>(std::clamp(q, -8.0f, 7.0f) + formats::kInt4SymOffset);
    case Format::kInt4Asym:
      return static_cast<std::uint8_t>(std::clamp(q + static_cast<float>(zero), 0.0f, formats::kInt4AsymLevels));
    case Format::kNf4:
      return static_cast<std::uint8_t>(rank(formats::kNf4Thresholds, ratio));
    case Format::kFp4:
      break;
  }
  const int magnitude = formats::kFp4CodeOfRank[rank(formats::kFp4Thresholds, std::fabs(ratio))];
  return static_cast<std::uint8_t>(std::signbit(ratio) ? magnitude | formats::kFp4SignBit : magnitude);
}

float decode(Format format, std::uint8_t code, int zero) {
  switch (format) {
    case Format::kInt8:
      return static_cast<std::int8_t>(code);
    case Format::kInt4Sym:
      return static_cast<float>(code - formats::kInt4SymOffset);
    case Format::kInt4Asym:
      return static_cast<float>(code - zero);
    case Format::kNf4:
      return formats::kNf4[code];
    case Format::kFp4:
      break;
  }
  return formats::kFp4[code];
}

}  // namespace

void quantize(Format format, const float* values, BlockRun run, std::uint8_t* codes, float* scales,
              std::uint8_t* zeros) {
  Scaling scaling{};
  for (std::int64_t i = 0; i < run.n; ++i) {
    if (i % run.block == 0) {
      scaling = fit(format, values + i, std::min(run.block, run.n - i));
      scales[i / run.block] = scaling.scale;
      if (has_zeros(format)) zeros[i / run.block] = scaling.zero;
    }
    const std::uint8_t code = encode(format, values[i] / divisor(scaling.scale), scaling.zero);
    if (code_bits(format) == 8) {
      codes[i] = code;
    } else if (i % 2 == 0) {
      codes[i / 2] = static_cast<std::uint8_t>(code << formats::kHighNibbleShift | encode(format, 0.0f, scaling.zero));
    } else {
      codes[i / 2] = static_cast<std::uint8_t>((codes[i / 2] & 0xf0) | code);
    }
  }
}

void dequantize(Format format, const std::uint8_t* codes, const float* scales, const std::uint8_t* zeros, BlockRun run,
                float* values) {
  for (std::int64_t i = 0; i < run.n; ++i) {
    const std::uint8_t pair = codes[i / 2];
    const std::uint8_t nibble = i % 2 == 0 ? pair >> formats::kHighNibbleShift : pair & 15;
    const std::uint8_t code = code_bits(format) == 8 ? codes[i] : nibble;
    values[i] = decode(format, code, has_zeros(format) ? zeros[i / run.block] : 0) * scales[i / run.block];
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
