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

inline constexpr std::int32_t kLargestFinite = 0x7f7fffff;  // key of a score

/// Consecutive entries of a matrix.
struct ScoreRange {
  std::size_t matrix;
  std::int64_t first, last;
  std::int64_t size() const { return last - first; }
};

/// Entries of a matrix up to their sign.
struct ScoreRun {
  const float* scores;
  std::int64_t first, count;
};

/// Entries of matrices in chunks, which threads share, of runs, which fit the first cache.
class ScoreChunks {
 public:
  static constexpr std::int64_t kRunsOfChunk = kMaxChunk / kMaxRun;

  /// All entries of the matrices, in runs of a multiple of `group`.
  explicit ScoreChunks(std::span<const PruneScores> matrices, std::int64_t group = 1)
      : matrices_(matrices), run_(kMaxRun / group * group) {
    for (std::size_t i = 0; i < matrices.size(); ++i) add({i, 0, matrices[i].rows * matrices[i].cols});
  }

  std::int64_t entries() const { return entries_; }
  std::int64_t size() const { return static_cast<std::int64_t>(chunks_.size()); }
  const ScoreRange& operator[](std::int64_t i) const { return chunks_[static_cast<std::size_t>(i)]; }

  /// Calls body(range) for the entries of each run of a chunk.
  template <class Body>
  void for_each_range(const ScoreRange& chunk, const Body& body) const {
    for (std::int64_t i = chunk.first; i < chunk.last; i += run_) {
      body(ScoreRange{chunk.matrix, i, std::min(i + run_, chunk.last)});
    }
  }

  /// Calls body(run) for the runs of a chunk.
  template <class Body>
  void for_each_run(const ScoreRange& chunk, const Body& body) const {
    float values[kMaxRun], products[kMaxRun];
    for_each_range(chunk,
                   [&](const ScoreRange& run) { body(ScoreRun{read(run, values, products), run.first, run.size()}); });
  }

  /// The scores of a range, which fits the buffers.
  const float* read(const ScoreRange& range, float* values, float* products) const {
    const PruneScores& in = matrices_[range.matrix];
    const float* seen = as_floats(in.values, in.dtype, range.first, range.size(), values);
    if (in.norms == nullptr) return seen;
    for (std::int64_t i = 0; i < range.size();) {
      const std::int64_t column = (range.first + i) % in.cols, n = std::min(range.size() - i, in.cols - column);
      table().multiply(seen + i, in.norms + column, n, products + i);
      i += n;
    }
    return products;
  }

  void prefetch(const ScoreRange& range) const {
    const PruneScores& in = matrices_[range.matrix];
    const std::int64_t bytes = in.dtype == DType::kFloat32 ? 4 : 2;
    __builtin_prefetch(static_cast<const char*>(in.values) + range.first * bytes);
    __builtin_prefetch(static_cast<const char*>(in.values) + range.last * bytes - 1);
  }

 private:
  void add(ScoreRange all) {
    entries_ += all.size();
    const std::int64_t longest = kRunsOfChunk * run_;
    for (; all.first < all.last; all.first += longest) {
      chunks_.push_back({all.matrix, all.first, std::min(all.last, all.first + longest)});
    }
  }

  std::span<const PruneScores> matrices_;
  std::int64_t run_, entries_ = 0;
  std::vector<ScoreRange> chunks_;
};

/// Calls kernel(mask) to write the mask of a run, at most kMaxRun bytes. One that the caches would not hold goes past
/// them (`streams`); the thread that wrote it then calls table().fence_streams().
template <class Kernel>
void write_mask(std::uint8_t* mask, std::int64_t count, bool streams, const Kernel& kernel) {
  if (!streams) return kernel(mask);
  alignas(64) std::uint8_t room[kMaxRun];
  kernel(room);
  table().stream_bytes(room, count, mask);
}

/// Whether a mask is so large that what is written of it is gone from the caches before the end.
inline bool streams_mask(std::int64_t entries) {
  constexpr std::int64_t kBytes = std::int64_t{1} << 24;
  return entries >= kBytes;
}

}  // namespace fairopt::kernels
