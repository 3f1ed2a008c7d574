// SparseGPT (Frantar and Alistarh 2023, arXiv:2301.00774): a sparse W' for a weight W [rows, cols] that makes
// trace((W - W') H (W - W')^T) small. Columns are settled one by one; those that are left make up for what was pruned,
// and, where a format is given, for what was rounded.
#pragma once
#include <cstdint>

#include "fairopt/executor.h"
#include "fairopt/gptq.h"
#include "fairopt/quantize.h"

namespace fairopt {

struct SparseGptOptions {
  std::int64_t prune = 0;          ///< how many of all weights go; each run of `columns` gives its share
  int n = 0, m = 0;                ///< instead, where m > 0: of every m consecutive weights of a row n stay
  std::int64_t columns = 128;      ///< a ratio's mask is chosen for that many columns at once
  double damp = 0.01;              ///< share of the mean diagonal of H that is added to the diagonal; >= 0
  DType stored = DType::kFloat32;  ///< without a format: what is kept of a column is rounded to this type before the
                                   ///< next is looked at, which then makes up for that too
};

struct SparseGptReport {
  double loss = 0;        ///< trace((W - W') H (W - W')^T) with the damped H
  double damp = 0;        ///< the share that was used: raised until the damped H is positive definite
  std::int64_t dead = 0;  ///< columns with H_jj = 0: inputs that were always zero
};

/// weight [rows, cols] and hessian [cols, cols] (symmetric; one half is read), fp32 row-major -> pruned [rows, cols]
/// and keep [rows, cols] (1 keeps).
///
/// With H = U U^T, U upper triangular, a weight of column j that would by now be v costs (v U_jj)^2 to prune: v^2 over
/// the diagonal of the paper's factor of the inverse, squared. The cheapest go, among equal ones that of the lower
/// index (row by row within a run of columns). Products are float64. A weight that is exactly zero stays zero and costs
/// nothing. A dead column has nothing but the damping on its diagonal: it goes first, its smallest weights before
/// others. (The paper's code sets all of it to zero, whatever the ratio.)
///
/// @throws std::invalid_argument for options outside their ranges, m that does not divide cols, a NaN or infinity in H,
///   or an H that no damping up to 2^20 times its mean diagonal makes positive definite.
SparseGptReport sparsegpt(const float* weight, const float* hessian, std::int64_t rows, std::int64_t cols,
                          const SparseGptOptions& options, float* pruned, std::uint8_t* keep,
                          Executor& executor = default_executor());

/// The same for a weight that is rounded too: what is kept of a column is rounded before the next column is looked at.
/// `pruned` [layout.rows, layout.cols] is what the codes stand for, exactly zero where `keep` is 0: a format without a
/// code of value zero needs the mask beside the codes. Under kStatic and kDynamic runs of m columns are sorted whole.
///
/// @param order [cols] for kDynamic: column j of the codes is column order[j] of W; else may be null.
SparseGptReport sparsegpt(const float* weight, const float* hessian, const QuantizedLayout& layout,
                          const SparseGptOptions& options, ActOrder act_order, const QuantizedBuffers& out,
                          float* pruned, std::uint8_t* keep, std::int64_t* order,
                          Executor& executor = default_executor());

}  // namespace fairopt
