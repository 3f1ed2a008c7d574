// fp16 as CUDA's header has it, in plain C++.
#pragma once
#include <bit>
#include <cstdint>

struct __half;
__half __float2half_rn(float value);
float __half2float(__half value);

struct __half {
  std::uint16_t bits;
  __half() = default;
  explicit __half(float value) : bits(__float2half_rn(value).bits) {}
};
struct alignas(4) __half2 {
  __half x, y;
};

inline __half __ushort_as_half(std::uint16_t bits) {
  __half value;
  value.bits = bits;
  return value;
}
inline float __half2float(__half value) {
  const std::uint32_t sign = static_cast<std::uint32_t>(value.bits & 0x8000) << 16, magnitude = value.bits & 0x7fff;
  // The fields where fp32 has them, and the difference of the two biases; so subnormals come out right.
  float wide = std::bit_cast<float>(magnitude << 13) * 0x1p112f;
  if (magnitude >= 0x7c00) wide = std::bit_cast<float>(magnitude << 13 | 0x7f800000);
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(wide) | sign);
}
inline __half __float2half_rn(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value), sign = bits >> 16 & 0x8000;
  const float magnitude = std::bit_cast<float>(bits & 0x7fffffff);
  std::uint32_t half;
  if (!(magnitude < 65520.0f)) {
    half = magnitude != magnitude ? 0x7fff : 0x7c00 | sign;
  } else if (magnitude < 0x1p-14f) {
    half = std::bit_cast<std::uint32_t>(magnitude + 0.5f) - std::bit_cast<std::uint32_t>(0.5f);  // in steps of 2^-24
    half |= sign;
  } else {
    const std::uint32_t wide = bits & 0x7fffffff;
    half = (wide + 0xfff + (wide >> 13 & 1) - (112u << 23)) >> 13 | sign;
  }
  return __ushort_as_half(static_cast<std::uint16_t>(half));
}
inline __half2 __floats2half2_rn(float x, float y) { return {__float2half_rn(x), __float2half_rn(y)}; }
