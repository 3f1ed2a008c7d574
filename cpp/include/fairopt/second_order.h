// The general second-order objective of a layer W [rows, cols] with a term for pairs of inputs: x0 and x1 are what the
// same text makes with the group swapped, D the mean of (x0 - x1)(x0 - x1)^T as H is that of x x^T.
#pragma once
#include <cstdint>

#include "fairopt/executor.h"

namespace fairopt {

/// trace(E H E^T) + beta trace(E D E^T) + alpha trace(W' D W'^T) with E = W - W': be like W on inputs, be like W on the
/// differences of pairs (beta), and make the differences small (alpha).
struct SecondOrderOptions {
  double alpha = 0;
  double beta = 0;
  double damp = 0.01;  ///< as for gptq and sparsegpt: the share of the mean diagonal of A that holds W' to W
};

struct SecondOrderReport {
  double damp = 0;        ///< the share that was used: raised until the damped A is positive definite
  std::int64_t dead = 0;  ///< columns with A_jj = 0
};

/// The objective is trace((W* - W') A (W* - W')^T) but for a constant, with A = H + (alpha + beta) D and
/// W* = W - alpha W D A^-1 = W (H + beta D) A^-1: gptq and sparsegpt given W* and A solve it. A is damped in W* as they
/// damp it, so that W* minimises the objective plus damp * mean(diag A) * ||E||^2.
///
/// weight [rows, cols], hessian H and pair_hessian D [cols, cols] (symmetric), fp32 row-major -> target W* [rows, cols]
/// and combined A [cols, cols]. With alpha = 0 the target is W bit for bit, with alpha = beta = 0 also A is H. A weight
/// that is exactly zero has the target zero: what was pruned stays pruned. Products are float64.
/// @throws std::invalid_argument for alpha, beta or damp that are negative or not finite, NaN or infinity in H or D, or
///   an A that no damping up to 2^20 times its mean diagonal makes positive definite.
SecondOrderReport second_order_target(const float* weight, const float* hessian, const float* pair_hessian,
                                      std::int64_t rows, std::int64_t cols, const SecondOrderOptions& options,
                                      float* target, float* combined, Executor& executor = default_executor());

}  // namespace fairopt
