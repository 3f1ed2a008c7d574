// The two arithmetics behind packed_linear, over a choice of the rows of x. Checked by packed_linear.cpp.
#pragma once
#include <string>
#include <vector>

#include "fairopt/packed_linear.h"
#include "kernels/cpu/table.h"

namespace fairopt::kernels {

void packed_exact(const PackedLinearArgs& args, const std::vector<std::int64_t>& tokens, Executor& executor);
void packed_planes(const PackedLinearArgs& args, MatmulMode mode, const std::vector<std::int64_t>& tokens,
                   Executor& executor);

/// What a kernel gets to work on `m` tokens.
PackedLinear packed_call(const PackedLinearArgs& args, const std::int64_t* tokens, std::int64_t m);

/// "exact, a8".
std::string mode_names(const std::vector<MatmulMode>& modes);

/// How many rows of x a thread should prepare at least, and how many tiles it should multiply: some microseconds each.
std::int64_t row_grain(std::int64_t cols);
std::int64_t tile_grain(std::int64_t m, std::int64_t cols);

}  // namespace fairopt::kernels
