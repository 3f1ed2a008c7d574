// Cholesky factorisation in place, spread over an executor.
#pragma once
#include <Eigen/Dense>

#include "fairopt/executor.h"

namespace fairopt::compress {

/// Overwrites the lower triangle of a symmetric positive definite matrix, of which only that half is read, by L with
/// A = L L^T. False when a pivot is not positive; the lower triangle is then undefined. The same bits for every
/// executor.
bool cholesky(Eigen::MatrixXd& matrix, Executor& executor);

}  // namespace fairopt::compress
