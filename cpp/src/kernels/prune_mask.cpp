#include <algorithm>
#include <atomic>
#include <string>
#include <vector>

#include "fairopt/prune.h"
#include "fairopt/quantize.h"
#include "kernels/huge_pages.h"
#include "kernels/prune_select.h"
#include "kernels/require.h"

namespace fairopt {
namespace {

using kernels::require;
using kernels::ScoreChunks;
using kernels::ScoreRange;
using kernels::ScoreRun;

/// All that can be said before the values are read; then the mask gets its memory.
void check(const char* op, const PruneScores& scores, std::uint8_t* mask, const std::string& which) {
  const auto [values, dtype, rows, cols, norms] = scores;
  require(rows >= 0 && cols >= 0, op, "score{} must be of a shape of at least 0, got [{}, {}]", which, rows, cols);
  require(rows * cols == 0 || (values != nullptr && mask != nullptr), op, "score{} and its mask must not be null",
          which);
  if (norms != nullptr && cols > 0) {
    const std::int64_t bad = kernels::table().count_nonfinite(norms, cols);
    require(bad == 0, op, "norms{} must be finite, got {} NaN or infinite values", which, bad);
    const float least = *std::min_element(norms, norms + cols);
    require(least >= 0, op, "norms{} must be at least 0, got {}", which, least);
  }
  kernels::prefer_huge_pages(mask, rows * cols);
}

/// `met` is how many scores were NaN or infinite: with finite values, products that overflowed, and those are fine.
void require_finite(const char* op, const PruneScores& scores, const std::string& which, std::int64_t met,
                    Executor& executor) {
  if (met == 0) return;
  const std::int64_t bad = count_nonfinite(scores.values, scores.dtype, scores.rows * scores.cols, executor);
  require(bad == 0, op, "score{} must be finite, got {} NaN or infinite values", which, bad);
}

/// N:M of a chunk of whole groups; returns in how many runs scores were NaN or infinite.
std::int64_t mask_groups(const PruneScores& scores, const ScoreChunks& chunks, const ScoreRange& chunk, int n, int m,
                         std::uint8_t* mask, bool streams) {
  const kernels::KernelTable& table = kernels::table();
  std::int64_t nonfinite = 0;
  if (table.n_of_m_16 != nullptr && scores.dtype != DType::kFloat32 && scores.norms == nullptr &&
      (m == 2 || m == 4 || m == 8)) {
    const auto* bits = static_cast<const std::uint16_t*>(scores.values);
    const std::int32_t largest_finite = scores.dtype == DType::kFloat16 ? 0x7bff : 0x7f7f;
    chunks.for_each_range(chunk, [&](const ScoreRange& run) {
      kernels::write_mask(mask + run.first, run.size(), streams, [&](std::uint8_t* to) {
        nonfinite += table.n_of_m_16(bits + run.first, run.size(), n, m, to) > largest_finite;
      });
    });
    return nonfinite;
  }
  chunks.for_each_run(chunk, [&](const ScoreRun& run) {
    kernels::write_mask(mask + run.first, run.count, streams, [&](std::uint8_t* to) {
      nonfinite += table.n_of_m(run.scores, run.count, n, m, to) > kernels::kLargestFinite;
    });
  });
  return nonfinite;
}

}  // namespace

void prune_mask(const PruneScores& scores, std::int64_t prune, std::uint8_t* mask, Executor& executor) {
  constexpr const char* op = "prune_mask";
  check(op, scores, mask, "");
  const std::int64_t n = scores.rows * scores.cols;
  require(prune >= 0 && prune <= n, op, "prune must be in [0, {}], got {}", n, prune);
  std::int64_t met = 0;
  kernels::mask_smallest(ScoreChunks({&scores, 1}), prune, {&mask, 1}, {&met, 1}, executor);
  require_finite(op, scores, "", met, executor);
}

void prune_mask_rows(const PruneScores& scores, std::int64_t prune, std::uint8_t* mask, Executor& executor) {
  constexpr const char* op = "prune_mask_rows";
  check(op, scores, mask, "");
  require(prune >= 0 && prune <= scores.cols, op, "prune must be in [0, {}], got {}", scores.cols, prune);
  std::atomic<std::int64_t> met = 0;
  executor.parallel_for(0, scores.rows, 1, [&](std::int64_t first, std::int64_t last) {
    met += kernels::mask_smallest_of_rows(scores, first, last, prune, mask);
  });
  require_finite(op, scores, "", met, executor);
}

void prune_mask_model(std::span<const PruneScores> scores, std::int64_t prune, std::span<std::uint8_t* const> masks,
                      Executor& executor) {
  constexpr const char* op = "prune_mask_model";
  require(scores.size() == masks.size(), op, "masks must be as many as the {} matrices, got {}", scores.size(),
          masks.size());
  for (std::size_t i = 0; i < scores.size(); ++i) check(op, scores[i], masks[i], fmt::format("s[{}]", i));
  const ScoreChunks chunks(scores);
  require(prune >= 0 && prune <= chunks.entries(), op, "prune must be in [0, {}], got {}", chunks.entries(), prune);
  std::vector<std::int64_t> met(scores.size());
  kernels::mask_smallest(chunks, prune, masks, met, executor);
  for (std::size_t i = 0; i < scores.size(); ++i) {
    require_finite(op, scores[i], fmt::format("s[{}]", i), met[i], executor);
  }
}

void prune_mask_n_of_m(const PruneScores& scores, int n, int m, std::uint8_t* mask, Executor& executor) {
  constexpr const char* op = "prune_mask_n_of_m";
  require(m >= 1 && m <= kMaxM, op, "m must be in [1, {}], got {}", kMaxM, m);
  require(n >= 1 && n <= m, op, "n must be in [1, {}], got {}", m, n);
  require(scores.cols % m == 0, op, "cols must be a multiple of m = {}, got {}", m, scores.cols);
  check(op, scores, mask, "");
  const ScoreChunks chunks({&scores, 1}, m);
  const bool streams = kernels::streams_mask(chunks.entries());
  std::atomic<std::int64_t> met = 0;
  executor.parallel_for(0, chunks.size(), 1, [&](std::int64_t first, std::int64_t last) {
    for (; first < last; ++first) met += mask_groups(scores, chunks, chunks[first], n, m, mask, streams);
    if (streams) kernels::table().fence_streams();
  });
  require_finite(op, scores, "", met, executor);
}

}  // namespace fairopt
