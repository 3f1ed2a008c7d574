// A sample of the scores brackets the threshold between two keys. One pass writes the mask of all that lies outside and
// collects the few keys inside, of which the wanted one is found by halving the bracket. A bracket that misses, which
// the counts of the pass tell, is followed by a wider one. Sampling decides how long that takes, never the result.
#include "kernels/prune_select.h"

#include <cmath>
#include <limits>
#include <memory>
#include <numeric>

namespace fairopt::kernels {
namespace {

constexpr std::int32_t kLargestKey = std::numeric_limits<std::int32_t>::max();
constexpr KeyBracket kEverything{0, 0, kLargestKey};

using Keys = std::vector<std::int32_t>;
using Counts = std::vector<std::int64_t>;  // by chunk

/// Pruned is what lies below the key, and of that key itself the first `ties`.
struct Cut {
  std::int32_t key;
  std::int64_t ties;
};

/// Looks for the cut that prunes this many, or up to `slack` fewer, of keys of [low, high).
class CutSearch {
 public:
  CutSearch(const Keys& keys, std::int32_t low, std::int32_t high, std::int64_t prune, std::int64_t slack = 0)
      : keys_(keys), prune_(prune), slack_(slack), low_(low), high_(high) {
    if (prune == static_cast<std::int64_t>(keys.size())) try_key(high);
  }

  /// Saves the search most of its steps if the cut lies within 3 % of this key.
  CutSearch& near(std::int32_t key) {
    constexpr std::int32_t kNear = 1 << 18;
    if (key > kNear) try_key(key - kNear);
    if (key < kLargestKey - kNear) try_key(key + kNear);
    return *this;
  }

  Cut result() {
    while (below_low_ + slack_ < prune_ && high_ - low_ > 1) try_key(low_ + (high_ - low_) / 2);
    return {low_, prune_ - below_low_};
  }

 private:
  void try_key(std::int32_t key) {
    if (key <= low_ || key > high_) return;
    const std::int64_t below = table().count_below(keys_.data(), static_cast<std::int64_t>(keys_.size()), key);
    if (below <= prune_) {
      low_ = key;
      below_low_ = below;
    } else {
      high_ = key;
    }
  }

  const Keys& keys_;
  std::int64_t prune_, slack_, below_low_ = 0;
  std::int32_t low_, high_;
};

/// What a pass found in a chunk.
struct Part {
  std::int64_t not_below = 0, nonfinite = 0;
  Keys keys;
  std::vector<std::uint16_t> places;
};

constexpr std::int64_t kLine = 16;  // scores of a cache line: what a sample takes at once

/// Lines of scores: one of each `entries / lines`, at random, so that no structure of the matrix misleads for ever.
Keys sample(const ScoreChunks& scores, std::int64_t lines, int seed, Executor& executor) {
  Keys keys(static_cast<std::size_t>(lines * kLine));
  const std::int64_t stride = scores.entries() / lines;
  const auto place_of = [&](std::int64_t line) {
    std::uint64_t bits = static_cast<std::uint64_t>(line + lines * seed) * 0x9e3779b97f4a7c15;
    bits = (bits ^ bits >> 29) * 0xbf58476d1ce4e5b9;
    return line * stride + (static_cast<std::int64_t>(bits >> 32) * stride >> 32);
  };
  executor.parallel_for(0, lines, 256, [&](std::int64_t first, std::int64_t last) {
    std::vector<ScoreRange> ranges;
    std::int64_t chunk = 0, before = 0;
    for (std::int64_t line = first; line < last; ++line) {
      const std::int64_t place = place_of(line);
      while (place - before >= scores[chunk].size()) before += scores[chunk++].size();
      const ScoreRange& in = scores[chunk];
      const std::int64_t count = std::min(kLine, in.size());
      const std::int64_t begin = in.first + std::min(place - before, in.size() - count);
      ranges.push_back({in.matrix, begin, begin + count});
    }
    auto* key = keys.data() + first * kLine;
    for (std::size_t i = 0; i < ranges.size(); ++i, key += kLine) {
      constexpr std::size_t kAhead = 32;  // one line at a time would wait for memory every time
      scores.prefetch(ranges[std::min(i + kAhead, ranges.size() - 1)]);
      float values[kLine], products[kLine];
      const float* read = scores.read(ranges[i], values, products);
      const std::int64_t count = ranges[i].size();
      table().magnitude_keys(read, nullptr, count, key);
      for (std::int64_t j = count; j < kLine; ++j) key[j] = key[j - count];
    }
  });
  return keys;
}

/// Standard deviation of how many keys of such a sample lie below one: neighbours may be alike, so lines are counted.
double deviation_below(const Keys& keys, std::int32_t key) {
  const std::size_t lines = keys.size() / kLine;
  double sum = 0, squares = 0;
  for (std::size_t line = 0; line < lines; ++line) {
    int below = 0;
    for (std::size_t i = 0; i < kLine; ++i) below += keys[line * kLine + i] < key;
    sum += below;
    squares += static_cast<double>(below) * below;
  }
  return std::sqrt(std::max(squares - sum * sum / static_cast<double>(lines), 0.0));
}

/// A bracket in which the cut lies, most likely: where it is in a sample, and three standard deviations to each side,
/// twice as many with every attempt. A sample of this size costs about what the keys in its bracket do.
KeyBracket guess(const ScoreChunks& scores, std::int64_t prune, int attempt, Executor& executor) {
  const auto n = static_cast<double>(scores.entries());
  const auto lines = static_cast<std::int64_t>(std::cbrt(n) * std::cbrt(n) / 8);
  if (lines < 8) return kEverything;
  const Keys keys = sample(scores, lines, attempt, executor);
  const auto samples = static_cast<double>(keys.size());
  const double share = static_cast<double>(prune) / n, place = std::floor(share * samples);
  const std::int32_t cut = CutSearch(keys, 0, kLargestKey, static_cast<std::int64_t>(place)).result().key;
  const double deviation = std::max(deviation_below(keys, cut), std::sqrt(share * (1 - share) * samples));
  const double spread = std::ceil(std::ldexp(2 + 3 * deviation, attempt));
  const auto at = [&](double wanted) {
    const auto slack = static_cast<std::int64_t>(spread / 16);
    return CutSearch(keys, 0, kLargestKey, static_cast<std::int64_t>(wanted), slack).near(cut).result().key;
  };
  // So many scores equal to a limit are left outside.
  const auto many_at = [&](std::int32_t key) {
    return key < kLargestKey && std::count(keys.begin(), keys.end(), key) > samples / 32;
  };
  KeyBracket bracket = kEverything;
  if (place > spread) bracket.low = at(place - spread);
  if (place + spread < samples) bracket.high = at(place + spread);
  bracket.low += many_at(bracket.low);
  bracket.high += bracket.high < kLargestKey && !many_at(bracket.high);
  bracket.cut = std::clamp(cut, bracket.low, std::max(bracket.low, bracket.high));
  return bracket;
}

Part split_chunk(const ScoreChunks& scores, const ScoreRange& chunk, KeyBracket bracket, BracketedKeys found,
                 std::uint8_t* mask, bool streams) {
  Part part;
  std::int64_t between = 0;
  scores.for_each_run(chunk, [&](const ScoreRun& run) {
    write_mask(mask + run.first, run.count, streams, [&](std::uint8_t* to) {
      const BracketCounts counts = table().mask_and_collect(run.scores, run.count, bracket, to, run.first - chunk.first,
                                                            {found.keys + between, found.places + between});
      part.not_below += counts.not_below;
      part.nonfinite += counts.largest > kLargestFinite;
      between += counts.between;
    });
  });
  part.keys.assign(found.keys, found.keys + between);
  part.places.assign(found.places, found.places + between);
  return part;
}

/// Masks what lies outside the bracket, and what lies in it by the guess.
std::vector<Part> split(const ScoreChunks& scores, KeyBracket bracket, std::span<std::uint8_t* const> masks,
                        Executor& executor) {
  std::vector<Part> parts(static_cast<std::size_t>(scores.size()));
  const bool streams = streams_mask(scores.entries());
  executor.parallel_for(0, scores.size(), 1, [&](std::int64_t first, std::int64_t last) {
    const auto keys = std::make_unique_for_overwrite<std::int32_t[]>(kMaxChunk);
    const auto places = std::make_unique_for_overwrite<std::uint16_t[]>(kMaxChunk);
    for (; first < last; ++first) {
      parts[static_cast<std::size_t>(first)] =
          split_chunk(scores, scores[first], bracket, {keys.get(), places.get()}, masks[scores[first].matrix], streams);
    }
    if (streams) table().fence_streams();
  });
  return parts;
}

/// Of as many ties as each chunk has, the first `prune`.
Counts first_of(Counts ties, std::int64_t prune) {
  for (std::int64_t& own : ties) {
    own = std::min(own, prune);
    prune -= own;
  }
  return ties;
}

/// Corrects the masks of what lies in the bracket, which were cut at a guess.
void cut_between(const ScoreChunks& scores, const std::vector<Part>& parts, std::int32_t guessed, Cut cut,
                 std::span<std::uint8_t* const> masks, Executor& executor) {
  Counts equal(parts.size());
  for (std::size_t i = 0; cut.ties > 0 && i < parts.size(); ++i) {
    equal[i] = std::count(parts[i].keys.begin(), parts[i].keys.end(), cut.key);
  }
  const Counts pruned = first_of(std::move(equal), cut.ties);
  executor.parallel_for(0, scores.size(), 64, [&](std::int64_t first, std::int64_t last) {
    for (; first < last; ++first) {
      const Part& part = parts[static_cast<std::size_t>(first)];
      std::uint8_t* mask = masks[scores[first].matrix] + scores[first].first;
      std::int64_t left = pruned[static_cast<std::size_t>(first)];
      for (std::size_t i = 0; i < part.keys.size(); ++i) {
        const std::int32_t key = part.keys[i];
        const bool tied = key == cut.key && left > 0, keep = key >= cut.key && !tied;
        left -= tied;
        if (keep != (key >= guessed)) mask[part.places[i]] = keep;
      }
    }
  });
}

/// Calls body(chunk, keys, run) for the runs of all chunks.
template <class Body>
void for_each_run_of_keys(const ScoreChunks& scores, Executor& executor, const Body& body) {
  executor.parallel_for(0, scores.size(), 1, [&](std::int64_t first, std::int64_t last) {
    for (; first < last; ++first) {
      scores.for_each_run(scores[first], [&](const ScoreRun& run) {
        std::int32_t keys[kMaxRun];
        table().magnitude_keys(run.scores, nullptr, run.count, keys);
        body(first, keys, run);
      });
    }
  });
}

Counts count_at(const ScoreChunks& scores, std::int32_t key, Executor& executor) {
  Counts found(static_cast<std::size_t>(scores.size()));
  for_each_run_of_keys(scores, executor, [&](std::int64_t chunk, const std::int32_t* keys, const ScoreRun& run) {
    found[static_cast<std::size_t>(chunk)] += std::count(keys, keys + run.count, key);
  });
  return found;
}

/// Prunes what lies below the key, and of that key itself so many in each chunk.
void cut_at(const ScoreChunks& scores, std::int32_t key, Counts ties, std::span<std::uint8_t* const> masks,
            Executor& executor) {
  for_each_run_of_keys(scores, executor, [&](std::int64_t chunk, const std::int32_t* keys, const ScoreRun& run) {
    table().mask_above(keys, run.count, key, &ties[static_cast<std::size_t>(chunk)],
                       masks[scores[chunk].matrix] + run.first);
  });
}

}  // namespace

void mask_smallest(const ScoreChunks& scores, std::int64_t prune, std::span<std::uint8_t* const> masks,
                   std::span<std::int64_t> nonfinite, Executor& executor) {
  for (int attempt = 0;; ++attempt) {
    const KeyBracket bracket = guess(scores, prune, attempt, executor);
    const std::vector<Part> parts = split(scores, bracket, masks, executor);
    std::int64_t pruned = scores.entries();
    std::size_t undecided_keys = 0;
    for (std::int64_t i = 0; i < scores.size(); ++i) {
      const Part& part = parts[static_cast<std::size_t>(i)];
      pruned -= part.not_below;
      undecided_keys += part.keys.size();
      nonfinite[scores[i].matrix] += part.nonfinite;
    }
    Keys between;
    between.reserve(undecided_keys);
    for (const Part& part : parts) between.insert(between.end(), part.keys.begin(), part.keys.end());
    const auto undecided = static_cast<std::int64_t>(between.size());
    if (prune >= pruned && prune <= pruned + undecided) {
      const Cut cut = CutSearch(between, bracket.low, bracket.high, prune - pruned).result();
      return cut_between(scores, parts, bracket.cut, cut, masks, executor);
    }
    // Many scores equal a limit, or the bracket missed: then the cut lies beyond them.
    const bool before = prune < pruned;
    const std::int32_t key = before ? bracket.low - 1 : bracket.high;
    Counts ties = count_at(scores, key, executor);
    const std::int64_t equal = std::accumulate(ties.begin(), ties.end(), std::int64_t{0});
    const std::int64_t left = prune - (before ? pruned - equal : pruned + undecided);
    if (left >= 0 && left <= equal) return cut_at(scores, key, first_of(std::move(ties), left), masks, executor);
  }
}

std::int64_t mask_smallest_of_rows(const PruneScores& scores, std::int64_t first, std::int64_t last, std::int64_t prune,
                                   std::uint8_t* mask) {
  std::int64_t nonfinite = 0;
  std::int32_t last_cut = 0;
  Keys keys(static_cast<std::size_t>(scores.cols));
  const bool streams = streams_mask(scores.rows * scores.cols);
  for (; first < last; ++first) {
    std::int32_t largest = 0;
    for (std::int64_t column = 0; column < scores.cols; column += kMaxRun) {
      const std::int64_t count = std::min(kMaxRun, scores.cols - column);
      float buffer[kMaxRun];
      const float* values = as_floats(scores.values, scores.dtype, first * scores.cols + column, count, buffer);
      const float* norms = scores.norms == nullptr ? nullptr : scores.norms + column;
      largest = std::max(largest, table().magnitude_keys(values, norms, count, keys.data() + column));
    }
    nonfinite += largest > kLargestFinite;
    const std::int32_t above_all = std::min(largest, kLargestKey - 1) + 1;
    Cut cut = CutSearch(keys, 0, above_all, prune).near(last_cut).result();  // rows are alike
    last_cut = cut.key;
    for (std::int64_t column = 0; column < scores.cols; column += kMaxRun) {
      const std::int64_t count = std::min(kMaxRun, scores.cols - column);
      write_mask(mask + first * scores.cols + column, count, streams,
                 [&](std::uint8_t* to) { table().mask_above(keys.data() + column, count, cut.key, &cut.ties, to); });
    }
  }
  if (streams) table().fence_streams();
  return nonfinite;
}

}  // namespace fairopt::kernels
