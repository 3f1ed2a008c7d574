#include "fairopt/second_order.h"

#include <algorithm>
#include <cmath>

#include "compress/damped_factor.h"
#include "kernels/require.h"

namespace fairopt {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using kernels::require;
using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

constexpr const char* op = "second_order_target";
constexpr Index kRows = 64;  // rows solved together: a tile's bits depend on nothing but its own rows

void combine(const float* hessian, const float* pair_hessian, std::int64_t count, double share, float* combined) {
  for (std::int64_t i = 0; i < count; ++i) {
    combined[i] = static_cast<float>(hessian[i] + share * pair_hessian[i]);
  }
}

}  // namespace

SecondOrderReport second_order_target(const float* weight, const float* hessian, const float* pair_hessian,
                                      std::int64_t rows, std::int64_t cols, const SecondOrderOptions& options,
                                      float* target, float* combined, Executor& executor) {
  compress::check_damp(op, options.damp);
  compress::check_hessian(op, "hessian", hessian, cols, executor);
  compress::check_hessian(op, "pair_hessian", pair_hessian, cols, executor);
  for (const auto& [name, value] : {std::pair{"alpha", options.alpha}, std::pair{"beta", options.beta}}) {
    require(value >= 0.0 && std::isfinite(value), op, "{} must be finite and >= 0, got {}", name, value);
  }
  if (rows == 0 || cols == 0) return {.damp = options.damp};
  require(weight != nullptr && target != nullptr && combined != nullptr, op,
          "weight, target and combined must not be null");

  combine(hessian, pair_hessian, cols * cols, options.alpha + options.beta, combined);
  std::vector<std::int64_t> order = compress::columns_as_they_lie(cols);
  std::reverse(order.begin(), order.end());  // the factor reads backwards
  const compress::DampedFactor factor = compress::factorise(op, combined, order, options.damp, 1.0, executor);
  if (options.alpha == 0.0) {
    std::copy(weight, weight + rows * cols, target);
    return {factor.damp, factor.dead};
  }
  const MatrixXd pairs = Eigen::Map<const RowMajor>(pair_hessian, cols, cols).cast<double>();
  const auto lower = factor.lower.triangularView<Eigen::Lower>();
  executor.parallel_for(0, (rows + kRows - 1) / kRows, 1, [&](std::int64_t first, std::int64_t last) {
    for (; first < last; ++first) {
      const Index row = first * kRows, count = std::min(kRows, rows - row);
      const MatrixXd w = Eigen::Map<const RowMajor>(weight + row * cols, count, cols).cast<double>();
      MatrixXd shift = w * pairs;
      lower.transpose().solveInPlace<Eigen::OnTheRight>(shift);
      lower.solveInPlace<Eigen::OnTheRight>(shift);
      Eigen::Map<RowMajor>(target + row * cols, count, cols) =
          (w.array() == 0.0).select(0.0, w - options.alpha * shift).cast<float>();
    }
  });
  return {factor.damp, factor.dead};
}

}  // namespace fairopt
