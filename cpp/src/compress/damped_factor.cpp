#include "compress/damped_factor.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "compress/cholesky.h"
#include "fairopt/quantize.h"
#include "kernels/require.h"

namespace fairopt::compress {

using Eigen::Index;
using Eigen::MatrixXd;
using kernels::require;

namespace {
constexpr int kMaxRaises = 28;
}

void check_hessian(const char* op, const char* argument, const float* hessian, std::int64_t cols, Executor& executor) {
  require(cols == 0 || hessian != nullptr, op, "{} must not be null", argument);
  const std::int64_t bad = count_nonfinite(hessian, DType::kFloat32, cols * cols, executor);
  require(bad == 0, op, "{} must be finite, got {} NaN or infinite values", argument, bad);
}

void check_damp(const char* op, double damp) {
  require(damp >= 0.0 && std::isfinite(damp), op, "damp must be finite and >= 0, got {}", damp);
}

std::vector<std::int64_t> columns_as_they_lie(std::int64_t cols) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(cols));
  std::iota(order.begin(), order.end(), 0);
  return order;
}

std::vector<std::int64_t> columns_by_diagonal(const float* hessian, std::int64_t cols, std::int64_t unit) {
  std::vector<double> weight(static_cast<std::size_t>(cols / unit));
  for (std::int64_t j = 0; j < cols; ++j) weight[static_cast<std::size_t>(j / unit)] += hessian[j * cols + j];
  std::vector<std::int64_t> units = columns_as_they_lie(cols / unit), order;
  std::stable_sort(units.begin(), units.end(), [&](std::int64_t a, std::int64_t b) {
    return weight[static_cast<std::size_t>(a)] > weight[static_cast<std::size_t>(b)];
  });
  for (const std::int64_t first : units) {
    for (std::int64_t i = 0; i < unit; ++i) order.push_back(first * unit + i);
  }
  return order;
}

DampedFactor factorise(const char* op, const float* hessian, const std::vector<std::int64_t>& order, double damp,
                       double dead_share, Executor& executor) {
  const auto n = static_cast<Index>(order.size());
  const auto at = [&](Index i, Index j) {
    const std::int64_t a = order[static_cast<std::size_t>(n - 1 - i)], b = order[static_cast<std::size_t>(n - 1 - j)];
    return static_cast<double>(hessian[std::max(a, b) * n + std::min(a, b)]);
  };
  double trace = 0.0;
  std::int64_t dead = 0;
  for (Index j = 0; j < n; ++j) {
    trace += at(j, j);
    dead += at(j, j) == 0.0 ? 1 : 0;
  }
  const double mean = trace > 0.0 ? trace / static_cast<double>(n) : 1.0;  // all zero: any diagonal will do
  MatrixXd lower(n, n);
  for (int raises = 0; raises <= kMaxRaises; ++raises) {
    executor.parallel_for(0, n, 16, [&](Index first, Index last) {
      for (Index j = first; j < last; ++j) {
        for (Index i = j; i < n; ++i) lower(i, j) = at(i, j);
        lower(j, j) = (lower(j, j) == 0.0 ? dead_share * mean : lower(j, j)) + damp * mean;
      }
    });
    if (cholesky(lower, executor)) return {std::move(lower), damp, dead};
    damp = std::max(2.0 * damp, 0.01);
  }
  require(false, op, "hessian must be positive definite when damped, got one that is not at damp = {}", damp / 2.0);
  return {};
}

}  // namespace fairopt::compress
