#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <mutex>
#include <vector>

#include "fairopt/prune.h"
#include "fairopt/quantize.h"
#include "kernels/cpu/table.h"
#include "kernels/elements.h"
#include "kernels/require.h"

namespace fairopt {
namespace {

using kernels::require;

// Selection is a radix search on the keys (the 31 bits of |score|): 11 bits, 11 bits, 9 bits. The first digit is
// counted over all scores; the keys that share the wanted one, a few per cent of usual weights, are copied out by
// chunk and searched for the rest. Ties need to know how many equal keys earlier chunks hold; the copies tell.
/// Scores [first, first + count) of a matrix, up to their sign: in place where they are the values, else in `buffer`.
const float* run_of(const PruneScores& scores, std::int64_t first, std::int64_t count, float* buffer) {
  const float* values = kernels::as_floats(scores.values, scores.dtype, first, count, buffer);
  if (scores.norms == nullptr) return values;
  std::int64_t column = first % scores.cols;
  for (std::int64_t i = 0; i < count; ++i) {
    buffer[i] = values[i] * scores.norms[column];
    if (++column == scores.cols) column = 0;
  }
  return buffer;
}

constexpr std::int64_t kChunk = 16 * kernels::kMaxRun;
constexpr std::size_t kBins = 2048;
using Histogram = std::array<std::int64_t, kBins>;

/// Entries [first, last) of one matrix.
struct Chunk {
  std::size_t matrix;
  std::int64_t first, last;
};

class Scores {
 public:
  explicit Scores(std::span<const PruneScores> matrices) : matrices_(matrices) {
    for (std::size_t i = 0; i < matrices.size(); ++i) add(i, 0, matrices[i].rows * matrices[i].cols);
  }
  /// Entries [first, last) of one matrix.
  Scores(const PruneScores& matrix, std::int64_t first, std::int64_t last) : matrices_(&matrix, 1) {
    add(0, first, last);
  }

  std::int64_t chunks() const { return static_cast<std::int64_t>(chunks_.size()); }
  const Chunk& chunk(std::int64_t i) const { return chunks_[static_cast<std::size_t>(i)]; }

  /// Calls body(scores as fp32, index in the matrix of the first, count) for the runs of a chunk.
  template <class Body>
  void for_each_run(std::int64_t chunk, const Body& body) const {
    const Chunk& range = this->chunk(chunk);
    const PruneScores& matrix = matrices_[range.matrix];
    for (std::int64_t i = range.first; i < range.last; i += kernels::kMaxRun) {
      float buffer[kernels::kMaxRun];
      const std::int64_t count = std::min(kernels::kMaxRun, range.last - i);
      body(run_of(matrix, i, count, buffer), i, count);
    }
  }

 private:
  void add(std::size_t matrix, std::int64_t first, std::int64_t last) {
    for (; first < last; first += kChunk) chunks_.push_back({matrix, first, std::min(last, first + kChunk)});
  }

  std::span<const PruneScores> matrices_;
  std::vector<Chunk> chunks_;
};

/// Sums over chunks of what `count(chunk, bins)` adds, in parallel.
template <class Count>
Histogram histogram(std::int64_t chunks, Executor& executor, const Count& count) {
  Histogram total{};
  std::mutex mutex;
  executor.parallel_for(0, chunks, 1, [&](std::int64_t first, std::int64_t last) {
    Histogram bins{};
    for (; first < last; ++first) count(first, bins);
    const std::lock_guard lock(mutex);
    for (std::size_t i = 0; i < kBins; ++i) total[i] += bins[i];
  });
  return total;
}

/// The bin in which the value of this rank lies; the rank becomes the rank within the bin.
std::int32_t locate(const Histogram& bins, std::int64_t* rank) {
  std::int32_t bin = 0;
  while (*rank >= bins[static_cast<std::size_t>(bin)]) *rank -= bins[static_cast<std::size_t>(bin++)];
  return bin;
}

/// Adds the first digits of a chunk. Four tables, so that equal neighbours do not wait for each other.
void count_buckets(const Scores& scores, std::int64_t chunk, Histogram& bins) {
  std::uint32_t tables[4][kBins] = {};
  scores.for_each_run(chunk, [&](const float* score, std::int64_t, std::int64_t n) {
    for (std::int64_t i = 0; i < n; ++i) {
      const auto key = std::bit_cast<std::uint32_t>(score[i]) & 0x7fffffff;
      ++tables[i & 3][key >> kernels::kBucketLowBits];
    }
  });
  for (std::size_t i = 0; i < kBins; ++i) bins[i] += tables[0][i] + tables[1][i] + tables[2][i] + tables[3][i];
}

struct Threshold {
  std::int32_t key;                ///< of the largest score that is pruned
  std::vector<std::int64_t> ties;  ///< by chunk: how many scores of that key to prune
};

using Keys = std::vector<std::vector<std::int32_t>>;  // by chunk

Keys copy_bucket(const Scores& scores, std::int32_t bucket, Executor& executor) {
  Keys keys(static_cast<std::size_t>(scores.chunks()));
  executor.parallel_for(0, scores.chunks(), 1, [&](std::int64_t first, std::int64_t last) {
    std::vector<std::int32_t> found(kChunk + kernels::kVectorPadding);
    for (; first < last; ++first) {
      std::int64_t count = 0;
      scores.for_each_run(first, [&](const float* score, std::int64_t, std::int64_t n) {
        count += kernels::table().keys_in_bucket(score, n, bucket, found.data() + count);
      });
      keys[static_cast<std::size_t>(first)].assign(found.begin(), found.begin() + count);
    }
  });
  return keys;
}

/// Of the keys that start with `prefix`: the next `bits` bits of the one of this rank, appended to the prefix.
std::int32_t extend(const Keys& keys, std::int32_t prefix, int low_bits, int bits, std::int64_t* rank,
                    Executor& executor) {
  const auto count = [&](std::int64_t chunk, Histogram& bins) {
    for (const std::int32_t key : keys[static_cast<std::size_t>(chunk)]) {
      const std::int32_t digit = (key >> low_bits) & ((1 << bits) - 1);
      bins[static_cast<std::size_t>(digit)] += key >> (low_bits + bits) == prefix;
    }
  };
  return prefix << bits | locate(histogram(static_cast<std::int64_t>(keys.size()), executor, count), rank);
}

/// `rank` counts from 0: the threshold is the key of the score of that rank.
Threshold find_threshold(const Scores& scores, std::int64_t rank, Executor& executor) {
  const auto count = [&](std::int64_t chunk, Histogram& bins) { count_buckets(scores, chunk, bins); };
  const std::int32_t bucket = locate(histogram(scores.chunks(), executor, count), &rank);
  const Keys keys = copy_bucket(scores, bucket, executor);
  const std::int32_t upper = extend(keys, bucket, 9, 11, &rank, executor);
  const std::int32_t key = extend(keys, upper, 0, 9, &rank, executor);

  Threshold threshold{key, {}};
  std::int64_t left = rank + 1;
  for (const std::vector<std::int32_t>& chunk : keys) {
    threshold.ties.push_back(std::min<std::int64_t>(left, std::count(chunk.begin(), chunk.end(), key)));
    left -= threshold.ties.back();
  }
  return threshold;
}

void check(const char* op, const PruneScores& scores, const std::uint8_t* mask, const std::string& which,
           Executor& executor) {
  const auto [values, dtype, rows, cols, norms] = scores;
  require(rows >= 0 && cols >= 0, op, "score{} must be of a shape of at least 0, got [{}, {}]", which, rows, cols);
  require(rows * cols == 0 || (values != nullptr && mask != nullptr), op, "score{} and its mask must not be null",
          which);
  std::int64_t bad = count_nonfinite(values, dtype, rows * cols, executor);
  require(bad == 0, op, "score{} must be finite, got {} NaN or infinite values", which, bad);
  if (norms == nullptr) return;
  bad = count_nonfinite(norms, DType::kFloat32, cols, executor);
  require(bad == 0, op, "norms{} must be finite, got {} NaN or infinite values", which, bad);
  const float least = cols == 0 ? 0.0f : *std::min_element(norms, norms + cols);
  require(least >= 0, op, "norms{} must be at least 0, got {}", which, least);
}

/// The doors without their checks.
void mask_smallest(const Scores& scores, std::int64_t prune, std::span<std::uint8_t* const> masks, Executor& executor) {
  const Threshold threshold = prune == 0
                                  ? Threshold{-1, std::vector<std::int64_t>(static_cast<std::size_t>(scores.chunks()))}
                                  : find_threshold(scores, prune - 1, executor);
  executor.parallel_for(0, scores.chunks(), 1, [&](std::int64_t first, std::int64_t last) {
    for (; first < last; ++first) {
      std::uint8_t* mask = masks[scores.chunk(first).matrix];
      std::int64_t ties = threshold.ties[static_cast<std::size_t>(first)];
      scores.for_each_run(first, [&](const float* values, std::int64_t at, std::int64_t count) {
        kernels::table().mask_above(values, count, threshold.key, &ties, mask + at);
      });
    }
  });
}

class CallingThread final : public Executor {
 public:
  int threads() const override { return 1; }
  void parallel_for(std::int64_t begin, std::int64_t end, std::int64_t, const Body& body) override { body(begin, end); }
};

}  // namespace

void prune_mask(const PruneScores& scores, std::int64_t prune, std::uint8_t* mask, Executor& executor) {
  check("prune_mask", scores, mask, "", executor);
  const std::int64_t n = scores.rows * scores.cols;
  require(prune >= 0 && prune <= n, "prune_mask", "prune must be in [0, {}], got {}", n, prune);
  mask_smallest(Scores({&scores, 1}), prune, {&mask, 1}, executor);
}

void prune_mask_rows(const PruneScores& scores, std::int64_t prune, std::uint8_t* mask, Executor& executor) {
  check("prune_mask_rows", scores, mask, "", executor);
  require(prune >= 0 && prune <= scores.cols, "prune_mask_rows", "prune must be in [0, {}], got {}", scores.cols,
          prune);
  executor.parallel_for(0, scores.rows, 1, [&](std::int64_t first, std::int64_t last) {
    CallingThread here;
    for (; first < last; ++first) {
      mask_smallest(Scores(scores, first * scores.cols, (first + 1) * scores.cols), prune, {&mask, 1}, here);
    }
  });
}

void prune_mask_model(std::span<const PruneScores> scores, std::int64_t prune, std::span<std::uint8_t* const> masks,
                      Executor& executor) {
  constexpr const char* op = "prune_mask_model";
  require(scores.size() == masks.size(), op, "masks must be as many as the {} matrices, got {}", scores.size(),
          masks.size());
  std::int64_t n = 0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    check(op, scores[i], masks[i], fmt::format("s[{}]", i), executor);
    n += scores[i].rows * scores[i].cols;
  }
  require(prune >= 0 && prune <= n, op, "prune must be in [0, {}], got {}", n, prune);
  mask_smallest(Scores(scores), prune, masks, executor);
}

void prune_mask_n_of_m(const PruneScores& scores, int n, int m, std::uint8_t* mask, Executor& executor) {
  constexpr const char* op = "prune_mask_n_of_m";
  require(m >= 1 && m <= kMaxM, op, "m must be in [1, {}], got {}", kMaxM, m);
  require(n >= 1 && n <= m, op, "n must be in [1, {}], got {}", m, n);
  require(scores.cols % m == 0, op, "cols must be a multiple of m = {}, got {}", m, scores.cols);
  check(op, scores, mask, "", executor);
  const std::int64_t run = kernels::kMaxRun / m * m, total = scores.rows * scores.cols;
  executor.parallel_for(0, (total + run - 1) / run, 4, [&](std::int64_t first, std::int64_t last) {
    float buffer[kernels::kMaxRun];
    for (; first < last; ++first) {
      const std::int64_t at = first * run, count = std::min(run, total - at);
      kernels::table().n_of_m(run_of(scores, at, count, buffer), count, n, m, mask + at);
    }
  });
}

}  // namespace fairopt
