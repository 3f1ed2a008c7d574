#include "fairopt/sparsegpt.h"

#include <algorithm>

#include "compress/column_solver.h"
#include "compress/damped_factor.h"
#include "fairopt/prune.h"
#include "kernels/require.h"

namespace fairopt {
namespace {

using kernels::require;

constexpr const char* op = "sparsegpt";

void check(const SparseGptOptions& options, std::int64_t rows, std::int64_t cols) {
  if (options.m != 0) {
    require(options.prune == 0, op, "prune must be 0 beside n of m, got {}", options.prune);
    require(0 < options.n && options.n <= options.m && options.m <= kMaxM, op,
            "n of m must be 0 < n <= m <= {}, got {}:{}", kMaxM, options.n, options.m);
    require(cols % options.m == 0, op, "m must divide the {} columns, got {}", cols, options.m);
  } else {
    require(options.n == 0, op, "n must be 0 without m, got {}", options.n);
    require(0 <= options.prune && options.prune <= rows * cols, op, "prune must be between 0 and {}, got {}",
            rows * cols, options.prune);
  }
  require(options.columns > 0, op, "columns must be at least 1, got {}", options.columns);
}

SparseGptReport solve(const float* weight, const float* hessian, std::int64_t rows, std::int64_t cols,
                      const std::vector<std::int64_t>& order, const compress::Rounding* rounding,
                      const compress::Pruning& pruning, Executor& executor) {
  // A dead column has no share of its own: all that keeps it is the damping.
  const auto factor = compress::factorise(op, hessian, order, pruning.options.damp, 0.0, executor);
  const compress::ColumnProblem problem{weight, rows, cols, order, factor.lower, rounding, &pruning};
  return {compress::solve_columns(problem, executor), factor.damp, factor.dead};
}

}  // namespace

SparseGptReport sparsegpt(const float* weight, const float* hessian, std::int64_t rows, std::int64_t cols,
                          const SparseGptOptions& options, float* pruned, std::uint8_t* keep, Executor& executor) {
  check(options, rows, cols);
  compress::check_damp(op, options.damp);
  compress::check_hessian(op, "hessian", hessian, cols, executor);
  if (rows == 0 || cols == 0) return {.damp = options.damp};
  require(weight != nullptr, op, "weight must not be null");
  require(pruned != nullptr && keep != nullptr, op, "pruned and keep must not be null");
  return solve(weight, hessian, rows, cols, compress::columns_as_they_lie(cols), nullptr, {options, keep, pruned},
               executor);
}

SparseGptReport sparsegpt(const float* weight, const float* hessian, const QuantizedLayout& layout,
                          const SparseGptOptions& options, ActOrder act_order, const QuantizedBuffers& out,
                          float* pruned, std::uint8_t* keep, std::int64_t* order, Executor& executor) {
  fairopt::check(layout, op);
  check(options, layout.rows, layout.cols);
  compress::check_damp(op, options.damp);
  compress::check_hessian(op, "hessian", hessian, layout.cols, executor);
  if (layout.rows == 0 || layout.cols == 0) return {.damp = options.damp};
  require(weight != nullptr, op, "weight must not be null");
  require(pruned != nullptr && keep != nullptr, op, "pruned and keep must not be null");
  require(act_order != ActOrder::kDynamic || order != nullptr, op, "order must not be null");
  const std::vector<std::int64_t> columns =
      act_order == ActOrder::kNone ? compress::columns_as_they_lie(layout.cols)
                                   : compress::columns_by_diagonal(hessian, layout.cols, std::max(1, options.m));
  const compress::Rounding rounding{{layout, out}, act_order};
  const auto report =
      solve(weight, hessian, layout.rows, layout.cols, columns, &rounding, {options, keep, pruned}, executor);
  if (act_order == ActOrder::kDynamic) std::copy(columns.begin(), columns.end(), order);
  return report;
}

}  // namespace fairopt
