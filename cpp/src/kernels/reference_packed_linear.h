// The plain twin of packed_linear: docs/formats.md, "Packed layout", in scalar C++ on the rows as they are stored. The
// integer modes are equal to it bit for bit on every instruction-set level; so is `exact` where the level fuses.
#pragma once
#include <vector>

#include "fairopt/packed_linear.h"
#include "kernels/cpu/table.h"

namespace fairopt::kernels::reference {

/// How far the values of a block spread: kExtreme when it holds NaN or infinity or its largest magnitude amax is below
/// 2^-80 but not 0, or when its largest values stand out by more than 4096; kWide when they do by more than 64. Values
/// stand out by more than c when some value other than 0 is at most amax / c and at most one in eight, rounded up, of
/// the values other than 0 is above amax / c.
Spread block_spread(const float* x, std::int64_t n);

/// A block in fixed point: x ~ q * step, |q| <= 127 * 256^(planes - 1).
struct FixedPoint {
  float step;
  std::vector<std::int32_t> q;
};
FixedPoint fixed_point(const float* x, std::int64_t n, int planes);

/// y [m, rows] of `args`, whose packed weight is ignored: `weight` are its rows. Unless `fused`, every product of the
/// exact arithmetic is rounded before it is added.
std::vector<float> packed_linear(const QuantizedView& weight, const PackedLinearArgs& args, bool fused = true);

}  // namespace fairopt::kernels::reference
