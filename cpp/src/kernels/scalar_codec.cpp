#include "kernels/scalar_codec.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/formats.h"

namespace fairopt::kernels {
namespace {

using formats::Rule;

struct Range {
  float low, high;
  float amax() const { return std::max(std::fabs(low), std::fabs(high)); }
  float depth() const { return 0.0f - low; }  // never -0
  Range with_zero() const { return {std::min(low, 0.0f), std::max(high, 0.0f)}; }
  /// Halves, so that the width cannot overflow.
  float step(float levels) const { return (0.5f * high - 0.5f * low) / (0.5f * levels); }
};

Range range(const float* x, std::int64_t n) {
  const auto [low, high] = std::minmax_element(x, x + n);
  return {*low + 0.0f, *high + 0.0f};  // -0 becomes 0
}

float divisor(float scale) { return scale != 0.0f ? scale : 1.0f; }

formats::Spec spec(Format format) { return formats::kSpecs[static_cast<int>(format)]; }
int half(Format format) { return 1 << (code_bits(format) - 1); }
int levels(Format format) { return (1 << code_bits(format)) - 1; }

/// How many of the sorted thresholds x is strictly greater than.
template <std::size_t kCount>
std::size_t rank(const float (&thresholds)[kCount], float x) {
  std::size_t r = 0;
  while (r < kCount && x > thresholds[r]) ++r;
  return r;
}

/// The magnitude of an e4m3fn code: 3 bits of mantissa under 4 of exponent.
float fp8_magnitude(int code) {
  if (code == formats::kFp8Nan) return std::numeric_limits<float>::quiet_NaN();
  const int exponent = code >> 3, mantissa = code & 7;
  if (exponent == 0) return std::ldexp(static_cast<float>(mantissa), -9);
  return std::ldexp(static_cast<float>(8 + mantissa), exponent - 10);
}

/// The nearest of the finite magnitudes, the even code when two are as near.
int fp8_code(float magnitude) {
  int code = 0;
  while (code + 1 < formats::kFp8Nan) {
    const float below = magnitude - fp8_magnitude(code), above = fp8_magnitude(code + 1) - magnitude;  // exact
    if (below < above || (below == above && code % 2 == 0)) break;
    ++code;
  }
  return code;
}

/// Bit `i` of a bit string, the first in the high bit of the first byte.
int bit_mask(std::int64_t i) { return 0x80 >> i % 8; }

}  // namespace

Scaling fit(Format format, const float* x, std::int64_t n) {
  const Range own = range(x, n);
  const auto h = static_cast<float>(half(format)), steps = static_cast<float>(levels(format));
  const Range wide = own.with_zero();
  switch (spec(format).rule) {
    case Rule::kSymNarrow:
      return {.scale = own.amax() / (h - 1.0f)};
    case Rule::kSymFull:
      return {.scale = own.amax() / (h - 0.5f)};
    case Rule::kSymNoClip:
      return {.scale = std::max(wide.depth() / h, wide.high / (h - 1.0f))};
    case Rule::kSymSigned:
      return {.scale = wide.depth() >= wide.high ? wide.depth() / h : wide.high / -h};
    case Rule::kAsymInt: {
      const float scale = wide.step(steps);
      return {.scale = scale,
              .zero = static_cast<int>(std::clamp(std::nearbyint(wide.depth() / divisor(scale)), 0.0f, steps))};
    }
    case Rule::kAsymFloat:
      return {.scale = own.step(steps), .float_zero = own.low};
    case Rule::kAsymCentre: {
      const float scale = own.step(steps);
      return {.scale = scale, .float_zero = 2.0f * (0.5f * own.low + 0.5f * h * scale)};
    }
    case Rule::kE4m3:
      return {.scale = own.amax() / formats::kFp8Max};
    case Rule::kNormalFloat:
    case Rule::kBnbFloat:
      break;
  }
  return {.scale = own.amax()};
}

int encode(Format format, float x, const Scaling& s) {
  const float ratio = x / divisor(s.scale);
  const auto h = static_cast<float>(half(format)), steps = static_cast<float>(levels(format));
  const int offset = formats::offset(spec(format));
  switch (spec(format).rule) {
    case Rule::kSymNarrow:
      return static_cast<int>(std::clamp(std::nearbyint(ratio), 1.0f - h, h - 1.0f)) + offset;
    case Rule::kSymFull:
    case Rule::kSymNoClip:
    case Rule::kSymSigned:
      return static_cast<int>(std::clamp(std::nearbyint(ratio), -h, h - 1.0f)) + offset;
    case Rule::kAsymInt:
      return static_cast<int>(std::clamp(std::nearbyint(ratio) + static_cast<float>(s.zero), 0.0f, steps));
    case Rule::kAsymFloat:
    case Rule::kAsymCentre: {
      const float half_low = 0.5f * s.float_zero - 0.5f * static_cast<float>(offset) * s.scale;
      return static_cast<int>(
          std::clamp(std::nearbyint(2.0f * ((0.5f * x - half_low) / divisor(s.scale))), 0.0f, steps));
    }
    case Rule::kNormalFloat:
      return static_cast<int>(rank(formats::kNf4Thresholds, ratio));
    case Rule::kBnbFloat:
      return formats::kFp4CodeOfRank[rank(formats::kFp4Thresholds, std::fabs(ratio))] |
             (std::signbit(x) ? formats::kFp4SignBit : 0);
    case Rule::kE4m3:
      break;
  }
  return fp8_code(std::fabs(ratio)) | (std::signbit(x) ? 0x80 : 0);
}

float decode(Format format, int code, const Scaling& s) {
  const int offset = formats::offset(spec(format));
  switch (spec(format).rule) {
    case Rule::kAsymInt:
      return static_cast<float>(code - s.zero) * s.scale;
    case Rule::kAsymFloat:
    case Rule::kAsymCentre: {
      const float multiple = static_cast<float>(code - offset) * s.scale;
      return multiple + s.float_zero;
    }
    case Rule::kNormalFloat:
      return formats::kNf4[code] * s.scale;
    case Rule::kBnbFloat:
      return formats::kFp4[code] * s.scale;
    case Rule::kE4m3:
      return (code < 0x80 ? fp8_magnitude(code) : -fp8_magnitude(code - 0x80)) * s.scale;
    default:
      break;
  }
  return static_cast<float>(code_bits(format) == 8 ? static_cast<std::int8_t>(code) : code - offset) * s.scale;
}

void write_code(std::uint8_t* codes, std::int64_t bytes, int bits, std::int64_t i, int code) {
  const std::int64_t at = i * bits, first = at / 8;
  const int below = 16 - static_cast<int>(at % 8) - bits;  // of the 16 bits from `first` on
  const unsigned mask = ((1u << bits) - 1) << below, value = static_cast<unsigned>(code) << below & mask;
  if (first < bytes) codes[first] = static_cast<std::uint8_t>((codes[first] & ~(mask >> 8)) | value >> 8);
  if (below >= 8 || first + 1 >= bytes) return;
  codes[first + 1] = static_cast<std::uint8_t>((codes[first + 1] & ~mask) | value);
}

int read_code(const std::uint8_t* codes, int bits, std::int64_t i) {
  int code = 0;
  for (std::int64_t at = i * bits; at < (i + 1) * bits; ++at) {
    code = code << 1 | static_cast<int>((codes[at / 8] & bit_mask(at)) != 0);
  }
  return code;
}

}  // namespace fairopt::kernels
