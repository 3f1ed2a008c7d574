// Which weights to keep. Scores are compared by absolute value; among equal ones the lower index is pruned first.
#pragma once
#include <cstdint>

#include "fairopt/executor.h"
#include "fairopt/format.h"

namespace fairopt {

/// mask[i] = 1 keeps, 0 prunes. Exactly `prune` of the n entries get 0: those of smallest |score|.
/// Infinities are fine; NaN is the caller's to refuse (it would count as larger than everything).
/// Takes extra memory for the scores near the threshold: a few per cent of n usually, 4 n bytes if all are equal.
void prune_mask(const void* score, DType dtype, std::int64_t n, std::int64_t prune, std::uint8_t* mask,
                Executor& executor = default_executor());

inline constexpr int kMaxM = 32;  ///< of N:M

/// N:M along the columns of [rows, cols]: of every m consecutive values the n largest |score| are kept.
/// 1 <= n <= m <= kMaxM, cols a multiple of m. ("2:4" = keep 2 of 4.)
void prune_mask_n_of_m(const void* score, DType dtype, std::int64_t rows, std::int64_t cols, int n, int m,
                       std::uint8_t* mask, Executor& executor = default_executor());

}  // namespace fairopt
