// Which weights to keep. Weights are compared by their score, and among equal scores the lower index goes first; where
// there are several matrices, the earlier one.
#pragma once
#include <cstdint>
#include <span>

#include "fairopt/executor.h"
#include "fairopt/format.h"

namespace fairopt {

/// The scores of a matrix [rows, cols]: |value|, or |value| * norms[column], which is one product in fp32 (Wanda).
struct PruneScores {
  const void* values = nullptr;
  DType dtype = DType::kFloat32;
  std::int64_t rows = 0, cols = 0;
  const float* norms = nullptr;  ///< [cols], at least 0; null: no factors
};

// A mask is [rows, cols] of its matrix: 1 keeps, 0 prunes. Each is the same bytes for every number of threads and every
// instruction set. Values and norms that are NaN or infinite are refused; masks are then not whole.

/// Prunes exactly the `prune` entries of smallest score.
void prune_mask(const PruneScores& scores, std::int64_t prune, std::uint8_t* mask,
                Executor& executor = default_executor());

/// Prunes exactly the `prune` entries of smallest score of each row.
void prune_mask_rows(const PruneScores& scores, std::int64_t prune, std::uint8_t* mask,
                     Executor& executor = default_executor());

/// Prunes exactly the `prune` entries of smallest score of all matrices together; they may differ in type and shape.
/// Nothing is sorted or concatenated: the extra memory is a few per cent of what the masks take.
void prune_mask_model(std::span<const PruneScores> scores, std::int64_t prune, std::span<std::uint8_t* const> masks,
                      Executor& executor = default_executor());

inline constexpr int kMaxM = 32;  ///< of N:M

/// N:M along the columns: of every m consecutive entries of a row the n of largest score are kept. 1 <= n <= m <=
/// kMaxM, cols a multiple of m. ("2:4" = keep 2 of 4.)
void prune_mask_n_of_m(const PruneScores& scores, int n, int m, std::uint8_t* mask,
                       Executor& executor = default_executor());

/// out[i] = values[i] where mask[i] is not 0, else zero; bits are copied, so values of 2, 4 or 8 bytes may be any.
/// `out` may be `values`.
void apply_mask(const void* values, int value_bytes, std::int64_t n, const std::uint8_t* mask, void* out,
                Executor& executor = default_executor());

}  // namespace fairopt
