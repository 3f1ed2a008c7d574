// GPTQ (Frantar et al. 2023, arXiv:2210.17323): codes for a weight W [rows, cols] that minimise trace((W - Q) H (W -
// Q)^T), rounded column by column so that later columns make up for the errors of earlier ones.
#pragma once
#include <cstdint>

#include "fairopt/executor.h"
#include "fairopt/quantize.h"

namespace fairopt {

/// In which order columns are rounded.
enum class ActOrder : std::uint8_t {
  kNone,  ///< as they lie; the scales of a block are fitted when its turn comes, to weights that earlier errors changed
  kStatic,   ///< by falling diagonal of H; blocks and scales are those of W as it lies, fitted before
  kDynamic,  ///< by falling diagonal of H; blocks are formed in that order, so `order` is needed to read the codes
};

struct GptqOptions {
  ActOrder act_order = ActOrder::kNone;
  double damp = 0.01;  ///< share of the mean diagonal of H that is added to the diagonal; >= 0
};

struct GptqReport {
  double loss = 0;        ///< trace((W - Q) H (W - Q)^T) with the damped H
  double damp = 0;        ///< the share that was used: raised until the damped H is positive definite
  std::int64_t dead = 0;  ///< columns with H_jj = 0: inputs that were always zero, rounded to nearest
};

/// weight [rows, cols] and hessian [cols, cols] (symmetric; one half is read), fp32 row-major -> codes, scales, zero
/// points.
///
/// With H = U U^T, U upper triangular, column j in turn is rounded at w_j + sum_{i<j} (w_i - q_i) U_ij / U_jj: what the
/// paper's updates of the whole matrix come to (its Cholesky factor of the inverse is U^-1), without inverting.
/// Products are float64. A weight that is exactly zero stays zero: what was pruned stays pruned. A column with H_jj = 0
/// is rounded to nearest, where the paper sets it to zero: text that calibration has not seen may use it.
///
/// @param order [cols] for kDynamic: column j of the codes is column order[j] of W; else may be null.
/// @throws std::invalid_argument for a NaN or infinity in H, or an H that no damping up to 2^20 times its mean diagonal
///   makes positive definite.
GptqReport gptq(const float* weight, const float* hessian, const QuantizedLayout& layout, const GptqOptions& options,
                const QuantizedBuffers& out, std::int64_t* order, Executor& executor = default_executor());

}  // namespace fairopt
