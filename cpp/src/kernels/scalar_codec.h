// One value at a time: how a block is scaled, the code of a value and the value of a code, by docs/formats.md. The
// plain twin of the quantise kernels is made of these, and the solvers that choose codes one by one.
#pragma once
#include <cstdint>

#include "fairopt/format.h"

namespace fairopt::kernels {

/// What a block is scaled by; of the zero points the one that the format has.
struct Scaling {
  float scale = 0.0f;
  int zero = 0;
  float float_zero = 0.0f;
};

/// The scaling of a block of n values, n > 0.
Scaling fit(Format format, const float* x, std::int64_t n);
/// The stored code of the value nearest to x, and the value of a stored code.
int encode(Format format, float x, const Scaling& scaling);
float decode(Format format, int code, const Scaling& scaling);

/// Code `i` of a bit string of `bytes` bytes; bits beyond its end are dropped.
void write_code(std::uint8_t* codes, std::int64_t bytes, int bits, std::int64_t i, int code);
int read_code(const std::uint8_t* codes, int bits, std::int64_t i);

}  // namespace fairopt::kernels
