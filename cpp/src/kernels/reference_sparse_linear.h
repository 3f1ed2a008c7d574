// The plain twin of sparse_linear: one product at a time, on the dense weight.
#pragma once
#include <vector>

#include "fairopt/sparse_linear.h"

namespace fairopt::kernels::reference {

/// y [m, rows] of `args`, whose packed weight is ignored: `source` is its weight. Unless `fused`, every product is
/// rounded before it is added.
std::vector<float> sparse_linear(const SparseSource& source, const SparseLinearArgs& args, bool fused = true);

}  // namespace fairopt::kernels::reference
