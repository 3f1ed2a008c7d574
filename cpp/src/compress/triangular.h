// Products with, and solutions of, triangular systems in double, on the kernels of the processor's level: the same bits
// on every one. Blocks of larger matrices are passed without a copy.
#pragma once
#include <Eigen/Dense>

namespace fairopt::compress {

using ConstBlock = Eigen::Ref<const Eigen::MatrixXd>;

/// c -= a b.
void subtract_product(const ConstBlock& a, const ConstBlock& b, Eigen::Ref<Eigen::MatrixXd> c);
/// c -= a b^T.
void subtract_product_transposed(const ConstBlock& a, const ConstBlock& b, Eigen::Ref<Eigen::MatrixXd> c);

/// Overwrites x by the y with y L = x, for L lower triangular.
void divide_by_lower(Eigen::Ref<Eigen::MatrixXd> x, const ConstBlock& lower);
/// Overwrites x by the y with y L^T = x.
void divide_by_lower_transposed(Eigen::Ref<Eigen::MatrixXd> x, const ConstBlock& lower);

}  // namespace fairopt::compress
