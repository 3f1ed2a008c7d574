// packed_linear: checks, the choice of an arithmetic for every row of x, and its kernels.
#include "fairopt/packed_linear.h"

#include <algorithm>
#include <numeric>

#include "kernels/packed_arithmetic.h"
#include "kernels/packed_format.h"
#include "kernels/require.h"

namespace fairopt {
namespace {

using kernels::require;
using kernels::Spread;

void check(const PackedLinearArgs& args) {
  constexpr const char* op = "packed_linear";
  const QuantizedLayout& layout = args.layout;
  check(layout, op);
  const std::vector<MatmulMode> modes = matmul_modes(layout.format);
  require(std::find(modes.begin(), modes.end(), args.mode) != modes.end(), op, "mode must be one of {} for {}, got {}",
          kernels::mode_names(modes), name(layout.format), name(args.mode));
  require(args.m >= 0, op, "m must be non-negative, got {}", args.m);
  require(args.lora_rank >= 0, op, "lora_rank must be non-negative, got {}", args.lora_rank);
  if (args.m == 0 || layout.rows == 0) return;
  require(args.y != nullptr, op, "y must not be null");
  require(args.lora_rank == 0 || (args.lora_z != nullptr && args.lora_b != nullptr), op,
          "lora_z and lora_b must not be null for lora_rank {}", args.lora_rank);
  if (layout.cols == 0) return;
  require(args.x != nullptr && args.packed != nullptr, op, "x and packed must not be null");
}

/// The arithmetic that a row of x gets, whose widest block has this spread.
MatmulMode mode_for(MatmulMode wanted, Spread spread) {
  if (wanted == MatmulMode::kExact || spread == Spread::kExtreme) return MatmulMode::kExact;
  if (spread == Spread::kNarrow || wanted == MatmulMode::kA8) return wanted;
  return wanted == MatmulMode::kI16 ? MatmulMode::kExact : MatmulMode::kA24;
}

std::vector<MatmulMode> modes_of_rows(const PackedLinearArgs& args, Executor& executor) {
  const QuantizedLayout& layout = args.layout;
  std::vector<MatmulMode> modes(static_cast<std::size_t>(args.m), args.mode);
  if (args.mode == MatmulMode::kExact) return modes;
  if (std::min(layout.block, layout.cols) > kernels::kLargestPlaneBlock) {
    modes.assign(modes.size(), MatmulMode::kExact);
    return modes;
  }
  executor.parallel_for(0, args.m, kernels::row_grain(layout.cols), [&](std::int64_t lo, std::int64_t hi) {
    for (std::int64_t row = lo; row < hi; ++row) {
      const Spread spread = kernels::table().activation_spread(args.x + row * layout.cols, {layout.cols, layout.block});
      modes[static_cast<std::size_t>(row)] = mode_for(args.mode, spread);
    }
  });
  return modes;
}

}  // namespace

void packed_linear(const PackedLinearArgs& args, Executor& executor) {
  check(args);
  if (args.m == 0 || args.layout.rows == 0) return;
  const std::vector<MatmulMode> modes = modes_of_rows(args, executor);
  std::vector<std::int64_t> tokens;
  for (const MatmulMode mode :
       {MatmulMode::kExact, MatmulMode::kA8, MatmulMode::kA16, MatmulMode::kA24, MatmulMode::kI16}) {
    tokens.clear();
    for (std::int64_t row = 0; row < args.m; ++row) {
      if (modes[static_cast<std::size_t>(row)] == mode) tokens.push_back(row);
    }
    if (tokens.empty()) continue;
    if (mode == MatmulMode::kExact) {
      kernels::packed_exact(args, tokens, executor);
    } else {
      kernels::packed_planes(args, mode, tokens, executor);
    }
  }
}

}  // namespace fairopt
