// The exact cut through scores, found without sorting them.
#pragma once
#include <cstdint>
#include <span>

#include "fairopt/executor.h"
#include "kernels/prune_scores.h"

namespace fairopt::kernels {

/// Writes the masks in which exactly `prune` entries of smallest score are 0; masks[i] is that of matrix i. Scores that
/// are NaN or infinite count as larger than the others; adds to nonfinite[matrix] how often some were met.
void mask_smallest(const ScoreChunks& scores, std::int64_t prune, std::span<std::uint8_t* const> masks,
                   std::span<std::int64_t> nonfinite, Executor& executor);

/// The same for rows [first, last) of a matrix, each alone, on the calling thread; returns how often some were met.
std::int64_t mask_smallest_of_rows(const PruneScores& scores, std::int64_t first, std::int64_t last, std::int64_t prune,
                                   std::uint8_t* mask);

}  // namespace fairopt::kernels
