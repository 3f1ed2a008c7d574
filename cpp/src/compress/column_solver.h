// The loop that GPTQ and SparseGPT share: columns of a weight are settled one after another, rounded or set to zero,
// and the columns that are still free make up for it (the optimal brain surgeon of Hassibi et al. 1993, in one order
// for all rows).
#pragma once
#include <Eigen/Dense>
#include <cstdint>
#include <vector>

#include "compress/tile_codes.h"
#include "fairopt/executor.h"
#include "fairopt/gptq.h"
#include "fairopt/sparsegpt.h"

namespace fairopt::compress {

/// How columns become codes.
struct Rounding {
  CodesOutput out;
  ActOrder act_order = ActOrder::kNone;
};

/// Which weights go, and where the mask is written.
struct Pruning {
  SparseGptOptions options;
  std::uint8_t* keep = nullptr;  ///< [rows, cols], 1 keeps
  float* pruned = nullptr;       ///< [rows, cols], the weight that results
};

/// W [rows, cols], its columns in the order in which they are settled, and the factor of H in that order.
struct ColumnProblem {
  const float* weight = nullptr;
  std::int64_t rows = 0, cols = 0;
  const std::vector<std::int64_t>& order;
  const Eigen::MatrixXd& lower;        ///< as DampedFactor has it
  const Rounding* rounding = nullptr;  ///< null: values stay fp32
  const Pruning* pruning = nullptr;    ///< null: nothing goes
};

/// Settles all columns; returns trace((W - W') H (W - W')^T). The same bits for every executor.
double solve_columns(const ColumnProblem& problem, Executor& executor);

}  // namespace fairopt::compress
