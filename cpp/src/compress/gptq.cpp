#include "fairopt/gptq.h"

#include <algorithm>

#include "compress/column_solver.h"
#include "compress/damped_factor.h"
#include "kernels/require.h"

namespace fairopt {

using kernels::require;

GptqReport gptq(const float* weight, const float* hessian, const QuantizedLayout& layout, const GptqOptions& options,
                const QuantizedBuffers& out, std::int64_t* order, Executor& executor) {
  check(layout, "gptq");
  compress::check_damp("gptq", options.damp);
  compress::check_hessian("gptq", "hessian", hessian, layout.cols, executor);
  if (layout.rows == 0 || layout.cols == 0) return {.damp = options.damp};
  require(weight != nullptr, "gptq", "weight must not be null");
  require(options.act_order != ActOrder::kDynamic || order != nullptr, "gptq", "order must not be null");

  const std::vector<std::int64_t> columns = options.act_order == ActOrder::kNone
                                                ? compress::columns_as_they_lie(layout.cols)
                                                : compress::columns_by_diagonal(hessian, layout.cols);
  const compress::DampedFactor factor = compress::factorise("gptq", hessian, columns, options.damp, 1.0, executor);
  const compress::Rounding rounding{{layout, out}, options.act_order};
  const compress::ColumnProblem problem{weight, layout.rows, layout.cols, columns, factor.lower, &rounding, nullptr};
  const double loss = compress::solve_columns(problem, executor);
  if (options.act_order == ActOrder::kDynamic) std::copy(columns.begin(), columns.end(), order);
  return {loss, factor.damp, factor.dead};
}

}  // namespace fairopt
