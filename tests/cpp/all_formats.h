// Every format, and storage for what a kernel writes of a run.
#pragma once
#include <array>
#include <cstdint>
#include <vector>

#include "fairopt/format.h"
#include "kernels/cpu/table.h"

inline constexpr auto kAllFormats = [] {
  std::array<fairopt::Format, fairopt::kFormatCount> formats{};
  for (int i = 0; i < fairopt::kFormatCount; ++i)
    formats[static_cast<std::size_t>(i)] = static_cast<fairopt::Format>(i);
  return formats;
}();

/// Codes, scales and zero points of one run of blocks, in buffers without a byte to spare, filled with rubbish.
struct Quantized {
  std::vector<std::uint8_t> codes;
  std::vector<float> scales;
  std::vector<std::uint8_t> zeros;
  std::vector<float> float_zeros;

  Quantized(fairopt::Format format, fairopt::kernels::BlockRun run)
      : codes(static_cast<std::size_t>((run.n * fairopt::code_bits(format) + 7) / 8), 0xcc),
        scales(static_cast<std::size_t>((run.n + run.block - 1) / run.block), -1.0f),
        zeros(fairopt::zero_point(format) == fairopt::ZeroPoint::kInteger ? scales.size() : 0, 0xcc),
        float_zeros(fairopt::zero_point(format) == fairopt::ZeroPoint::kFloat ? scales.size() : 0, -1.0f) {}

  fairopt::kernels::RunParts parts() { return {codes.data(), scales.data(), zeros.data(), float_zeros.data()}; }
  fairopt::kernels::ConstRunParts parts() const {
    return {codes.data(), scales.data(), zeros.data(), float_zeros.data()};
  }
};

/// The i-th code of a row, as it is stored; int8 with its sign.
inline int code_at(const Quantized& q, fairopt::Format format, std::size_t i) {
  const auto bits = static_cast<std::size_t>(fairopt::code_bits(format));
  int code = 0;
  for (std::size_t at = i * bits; at < (i + 1) * bits; ++at) code = code << 1 | (q.codes[at / 8] >> (7 - at % 8) & 1);
  return format == fairopt::Format::kInt8 ? static_cast<std::int8_t>(code) : code;
}
