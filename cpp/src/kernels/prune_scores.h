// The scores of matrices, seen as fp32 a run at a time. Private to the masks.
#pragma once
#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "fairopt/prune.h"
#include "kernels/cpu/table.h"
#include "kernels/elements.h"

namespace fairopt::kernels {

/// Consecutive entries of a matrix.
struct ScoreRun {
  const float* scores;  ///< up to their sign
  std::int64_t first, count;
};

/// Entries of matrices in chunks, which threads share, of runs, which fit the first cache.
class ScoreChunks {
 public:
  static constexpr std::int64_t kRunsOfChunk = 16;

  struct Chunk {
    std::size_t matrix;
    std::int64_t first, last;
    std::int64_t size() const { return last - first; }
  };

  /// All entries of the matrices, in runs of a multiple of `group`.
  explicit ScoreChunks(std::span<const PruneScores> matrices, std::int64_t group = 1)
      : matrices_(matrices), run_(kMaxRun / group * group) {
    for (std::size_t i = 0; i < matrices.size(); ++i) add({i, 0, matrices[i].rows * matrices[i].cols});
  }
  /// One row.
  ScoreChunks(const PruneScores& matrix, std::int64_t row) : matrices_(&matrix, 1), run_(kMaxRun) {
    add({0, row * matrix.cols, (row + 1) * matrix.cols});
  }

  std::int64_t entries() const { return entries_; }
  std::int64_t size() const { return static_cast<std::int64_t>(chunks_.size()); }
  const Chunk& operator[](std::int64_t i) const { return chunks_[static_cast<std::size_t>(i)]; }

  /// Calls body(run) for the runs of a chunk.
  template <class Body>
  void for_each_run(const Chunk& chunk, const Body& body) const {
    float values[kMaxRun], scores[kMaxRun];
    for (std::int64_t i = chunk.first; i < chunk.last; i += run_) {
      body(read(chunk.matrix, i, std::min(run_, chunk.last - i), values, scores));
    }
  }

  /// `count` entries of a chunk from `first` on; the buffers have room for them.
  ScoreRun read(std::size_t matrix, std::int64_t first, std::int64_t count, float* values, float* scores) const {
    const PruneScores& in = matrices_[matrix];
    const float* seen = as_floats(in.values, in.dtype, first, count, values);
    if (in.norms == nullptr) return {seen, first, count};
    for (std::int64_t i = 0; i < count;) {
      const std::int64_t column = (first + i) % in.cols, n = std::min(count - i, in.cols - column);
      table().multiply(seen + i, in.norms + column, n, scores + i);
      i += n;
    }
    return {scores, first, count};
  }

 private:
  void add(Chunk range) {
    entries_ += range.size();
    const std::int64_t longest = kRunsOfChunk * run_;
    for (; range.first < range.last; range.first += longest) {
      chunks_.push_back({range.matrix, range.first, std::min(range.last, range.first + longest)});
    }
  }

  std::span<const PruneScores> matrices_;
  std::int64_t run_, entries_ = 0;
  std::vector<Chunk> chunks_;
};

}  // namespace fairopt::kernels
