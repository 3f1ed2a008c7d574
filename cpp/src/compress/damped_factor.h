// The curvature of a layer's squared output error as the solvers take it: damped, in the order in which columns are
// solved, and factorised.
#pragma once
#include <Eigen/Dense>
#include <cstdint>
#include <vector>

#include "fairopt/executor.h"

namespace fairopt::compress {

/// Columns 0, 1, 2, ... as they lie.
std::vector<std::int64_t> columns_as_they_lie(std::int64_t cols);

/// Runs of `unit` columns by falling sum of their diagonal of H [cols, cols]; cols is a multiple of unit.
std::vector<std::int64_t> columns_by_diagonal(const float* hessian, std::int64_t cols, std::int64_t unit = 1);

/// L with L L^T = the damped H, its columns in reverse of the order in which they are solved: with H = U U^T in that
/// order, U upper triangular, U is L read backwards.
struct DampedFactor {
  Eigen::MatrixXd lower;
  double damp = 0;        ///< share of the mean diagonal that was added to it: raised until a factor exists
  std::int64_t dead = 0;  ///< columns with H_jj = 0
};

/// Throws std::invalid_argument `<op>: <argument> must be ...` for NaN or infinity in that matrix [cols, cols].
void check_hessian(const char* op, const char* argument, const float* hessian, std::int64_t cols, Executor& executor);
/// Throws std::invalid_argument `<op>: damp must be ...` for one that is negative or not finite.
void check_damp(const char* op, double damp);

/// Factorises a checked H [cols, cols] fp32, symmetric, of which one half is read.
/// @param dead_share  what the diagonal of a dead column becomes before damping, as a share of the mean.
/// @throws std::invalid_argument `<op>: hessian must be ...` where no damping up to 2^20 times the mean is enough.
DampedFactor factorise(const char* op, const float* hessian, const std::vector<std::int64_t>& order, double damp,
                       double dead_share, Executor& executor);

}  // namespace fairopt::compress
