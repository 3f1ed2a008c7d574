// The table that each ISA level exports. Kernels know pointers and sizes; they run on a range of rows and never
// allocate, check or start threads. This header is included by the ISA files: <cstdint> only.
#pragma once
#include <cstdint>

namespace fairopt::kernels {

/// Consecutive blocks of one row: n values in blocks of `block`, the last one possibly short.
struct BlockRun {
  std::int64_t n;
  std::int64_t block;
};

inline constexpr int kFormats = 5;  // entries of fairopt::Format, in its order

struct KernelTable {
  const char* name;

  // quantize.inl.h, dequantize.inl.h: by Format; zeros is touched by the formats that have zero points only.
  void (*quantize[kFormats])(const float* values, BlockRun run, std::uint8_t* codes, float* scales,
                             std::uint8_t* zeros);
  void (*dequantize[kFormats])(const std::uint8_t* codes, const float* scales, const std::uint8_t* zeros, BlockRun run,
                               float* values);

  // convert.inl.h: 16-bit floats as their bits; narrowing rounds half to even.
  void (*f16_to_f32)(const std::uint16_t* in, std::int64_t n, float* out);
  void (*bf16_to_f32)(const std::uint16_t* in, std::int64_t n, float* out);
  void (*f32_to_f16)(const float* in, std::int64_t n, std::uint16_t* out);
  void (*f32_to_bf16)(const float* in, std::int64_t n, std::uint16_t* out);
  std::int64_t (*count_nonfinite)(const float* in, std::int64_t n);
};

extern const KernelTable kBaseline;
extern const KernelTable kAvx2;
extern const KernelTable kAvx512;
extern const KernelTable kAvx512Vnni;

/// The level chosen for this process (runtime/cpu_capability.cpp).
const KernelTable& table();
/// The level of that name, null when this CPU or this build lacks it.
const KernelTable* find_table(const char* name);

}  // namespace fairopt::kernels
