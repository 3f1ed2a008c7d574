// Orthonormal Hadamard transform of rows: spreads an outlier over all columns, and is its own undoing up to a
// transpose.
#pragma once
#include <cstdint>

#include "fairopt/executor.h"
#include "fairopt/format.h"

namespace fairopt {

/// The matrix H of n columns is `blocks` times, along the diagonal, the Kronecker product of a Hadamard matrix of
/// `order` (Paley 1933, from the smallest fitting prime; 1 where none is needed) with Sylvester's of `power`, a power
/// of two, divided by sqrt(order * power): H H^T = I. blocks is 1 but where n has an odd factor that no construction
/// with order <= 256 takes in; then the blocks are of the largest power of two that divides n.
struct HadamardShape {
  std::int64_t blocks = 1;
  std::int64_t order = 1;
  std::int64_t power = 1;
};
/// Throws std::invalid_argument for n < 1.
HadamardShape hadamard_shape(std::int64_t n);

/// y = H x for each row x of [rows, cols] (`transpose`: y = H^T x), computed in fp32, rounded once to `dtype`. The sums
/// are taken in one fixed order: the same bits on every instruction-set level and for any number of threads.
/// x and y may be the same buffer. Throws std::invalid_argument.
void hadamard_transform(const void* x, DType dtype, std::int64_t rows, std::int64_t cols, bool transpose, void* y,
                        Executor& executor = default_executor());

}  // namespace fairopt
