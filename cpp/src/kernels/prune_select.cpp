// A sample of the scores brackets the threshold between two keys. One pass writes the mask of all that lies outside and
// collects the few keys inside, of which the wanted one is found by halving the bracket. A bracket that misses, which
// the counts of the pass tell, is followed by a wider one. Sampling decides how long that takes, never the result.
#include "kernels/prune_select.h"

#include <atomic>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>

namespace fairopt::kernels {
namespace {

constexpr std::int32_t kLargestKey = std::numeric_limits<std::int32_t>::max();
constexpr KeyBracket kEverything{-1, kLargestKey};

using Place = std::uint16_t;  // in a chunk
static_assert(ScoreChunks::kRunsOfChunk * kMaxRun <= 1 << 16);
using Counts = std::vector<std::int64_t>;  // by chunk

/// What a pass found in a chunk.
struct Part {
  std::int64_t above_low = 0, nonfinite = 0;
  std::vector<std::int32_t> keys;
  std::vector<Place> places;
};

/// The key of this rank, which lies in the bracket: `below(limit)` counts the keys less than a limit.
template <class Below>
std::int32_t find_key(KeyBracket bracket, std::int64_t rank, const Below& below) {
  std::int64_t from = std::int64_t{bracket.low} + 1, to = bracket.high;  // below(from) <= rank < below(to)
  while (to - from > 1) {
    const std::int64_t middle = from + (to - from) / 2;
    (below(static_cast<std::int32_t>(middle)) <= rank ? from : to) = middle;
  }
  return static_cast<std::int32_t>(from);
}

/// `count` keys: one of each `entries / count`, at random, so that no structure of the matrix misleads for ever.
std::vector<std::int32_t> sample(const ScoreChunks& scores, std::int64_t count, int seed, Executor& executor) {
  std::vector<std::int32_t> keys(static_cast<std::size_t>(count));
  const auto stride = static_cast<std::uint64_t>(scores.entries() / count);
  executor.parallel_for(0, count, 4096, [&](std::int64_t first, std::int64_t last) {
    std::int64_t chunk = 0, before = 0;
    for (; first < last; ++first) {
      std::uint64_t bits = static_cast<std::uint64_t>(first + count * seed) * 0x9e3779b97f4a7c15;
      bits = (bits ^ bits >> 29) * 0xbf58476d1ce4e5b9;
      const auto offset = static_cast<std::int64_t>((bits >> 32) * stride >> 32);
      const std::int64_t place = first * scores.entries() / count + offset;
      while (place - before >= scores[chunk].size()) before += scores[chunk++].size();
      float value, score;
      const ScoreRun run = scores.read(scores[chunk].matrix, scores[chunk].first + place - before, 1, &value, &score);
      keys[static_cast<std::size_t>(first)] = std::bit_cast<std::int32_t>(*run.scores) & kLargestKey;
    }
  });
  return keys;
}

/// A bracket in which the key of this rank lies, most likely: its rank in a sample, and three standard deviations to
/// each side, twice as many with every attempt.
KeyBracket guess(const ScoreChunks& scores, std::int64_t rank, int attempt, Executor& executor) {
  const std::int64_t n = scores.entries(), count = std::min(n / 64, std::max(std::int64_t{1} << 16, n / 4096));
  if (count < 32) return kEverything;
  const std::vector<std::int32_t> keys = sample(scores, count, attempt, executor);
  const double share = static_cast<double>(rank) / static_cast<double>(n), samples = static_cast<double>(count);
  const double spread = std::ldexp(2 + 3 * std::sqrt(share * (1 - share) * samples), attempt);
  const auto at = [&](double place) {
    return find_key(kEverything, static_cast<std::int64_t>(place),
                    [&](std::int32_t limit) { return table().count_below(keys.data(), count, limit); });
  };
  const double low = std::floor(share * samples - spread), high = std::ceil(share * samples + spread);
  return {low < 0 ? kEverything.low : at(low), high >= samples ? kEverything.high : at(high)};
}

Part split_chunk(const ScoreChunks& scores, const ScoreChunks::Chunk& chunk, KeyBracket bracket, BracketedKeys found,
                 std::uint8_t* mask) {
  Part part;
  std::int64_t between = 0;
  scores.for_each_run(chunk, [&](const ScoreRun& run) {
    const BracketCounts counts =
        table().mask_above_bracket(run.scores, run.count, bracket, mask + run.first, run.first - chunk.first,
                                   {found.keys + between, found.places + between});
    part.above_low += counts.above_low;
    part.nonfinite += table().count_nonfinite(run.scores, run.count);
    between += counts.between;
  });
  part.keys.assign(found.keys, found.keys + between);
  part.places.assign(found.places, found.places + between);
  return part;
}

/// Masks what lies outside the bracket, and keeps what lies in it for now.
std::vector<Part> split(const ScoreChunks& scores, KeyBracket bracket, std::span<std::uint8_t* const> masks,
                        Executor& executor) {
  std::vector<Part> parts(static_cast<std::size_t>(scores.size()));
  executor.parallel_for(0, scores.size(), 1, [&](std::int64_t first, std::int64_t last) {
    std::int64_t longest = 0;
    for (std::int64_t i = first; i < last; ++i) longest = std::max(longest, scores[i].size());
    const auto room = static_cast<std::size_t>(longest + kVectorPadding);
    const auto found = std::make_unique_for_overwrite<std::int32_t[]>(2 * room);
    for (; first < last; ++first) {
      parts[static_cast<std::size_t>(first)] =
          split_chunk(scores, scores[first], bracket, {found.get(), found.get() + room}, masks[scores[first].matrix]);
    }
  });
  return parts;
}

std::int64_t count_below(const std::vector<Part>& parts, std::int32_t limit, Executor& executor) {
  std::atomic<std::int64_t> below = 0;
  executor.parallel_for(0, static_cast<std::int64_t>(parts.size()), 64, [&](std::int64_t first, std::int64_t last) {
    std::int64_t found = 0;
    for (; first < last; ++first) {
      const std::vector<std::int32_t>& keys = parts[static_cast<std::size_t>(first)].keys;
      found += table().count_below(keys.data(), static_cast<std::int64_t>(keys.size()), limit);
    }
    below += found;
  });
  return below;
}

/// Of as many ties as each chunk has, the first `prune`.
Counts first_of(Counts ties, std::int64_t prune) {
  for (std::int64_t& own : ties) {
    own = std::min(own, prune);
    prune -= own;
  }
  return ties;
}

/// Prunes what lies in the bracket up to the key, and of that key itself the first `ties`.
void prune_between(const ScoreChunks& scores, const std::vector<Part>& parts, std::int32_t key, std::int64_t ties,
                   std::span<std::uint8_t* const> masks, Executor& executor) {
  Counts equal;
  for (const Part& part : parts) equal.push_back(std::count(part.keys.begin(), part.keys.end(), key));
  const Counts pruned = first_of(std::move(equal), ties);
  executor.parallel_for(0, scores.size(), 64, [&](std::int64_t first, std::int64_t last) {
    for (; first < last; ++first) {
      const Part& part = parts[static_cast<std::size_t>(first)];
      std::uint8_t* mask = masks[scores[first].matrix] + scores[first].first;
      std::int64_t left = pruned[static_cast<std::size_t>(first)];
      for (std::size_t i = 0; i < part.keys.size(); ++i) {
        const bool tied = part.keys[i] == key && left > 0;
        left -= tied;
        mask[part.places[i]] = part.keys[i] >= key && !tied;
      }
    }
  });
}

Counts count_scores_at(const ScoreChunks& scores, std::int32_t key, Executor& executor) {
  Counts found(static_cast<std::size_t>(scores.size()));
  executor.parallel_for(0, scores.size(), 1, [&](std::int64_t first, std::int64_t last) {
    for (; first < last; ++first) {
      scores.for_each_run(scores[first], [&](const ScoreRun& run) {
        found[static_cast<std::size_t>(first)] += table().count_scores_at(run.scores, run.count, key);
      });
    }
  });
  return found;
}

/// Prunes what lies below the key, and of that key itself so many in each chunk.
void prune_to(const ScoreChunks& scores, std::int32_t key, const Counts& ties, std::span<std::uint8_t* const> masks,
              Executor& executor) {
  executor.parallel_for(0, scores.size(), 1, [&](std::int64_t first, std::int64_t last) {
    for (; first < last; ++first) {
      std::int64_t left = ties[static_cast<std::size_t>(first)];
      std::uint8_t* mask = masks[scores[first].matrix];
      scores.for_each_run(scores[first], [&](const ScoreRun& run) {
        table().mask_above(run.scores, run.count, key, &left, mask + run.first);
      });
    }
  });
}

}  // namespace

void mask_smallest(const ScoreChunks& scores, std::int64_t prune, std::span<std::uint8_t* const> masks,
                   std::span<std::int64_t> nonfinite, Executor& executor) {
  for (int attempt = 0;; ++attempt) {
    const KeyBracket bracket = prune == 0 ? KeyBracket{-1, 0} : guess(scores, prune - 1, attempt, executor);
    const std::vector<Part> parts = split(scores, bracket, masks, executor);
    std::int64_t pruned = scores.entries(), between = 0;
    for (std::int64_t i = 0; i < scores.size(); ++i) {
      const Part& part = parts[static_cast<std::size_t>(i)];
      pruned -= part.above_low;
      between += static_cast<std::int64_t>(part.keys.size());
      nonfinite[scores[i].matrix] += part.nonfinite;
    }
    if (prune == pruned) return;
    if (prune > pruned && prune <= pruned + between) {
      const auto below = [&](std::int32_t limit) { return count_below(parts, limit, executor); };
      const std::int32_t key = find_key(bracket, prune - pruned - 1, below);
      return prune_between(scores, parts, key, prune - pruned - below(key), masks, executor);
    }
    // Many scores equal a limit, or the bracket missed: then the cut lies beyond them.
    const bool at_low = prune < pruned;
    const std::int32_t key = at_low ? bracket.low : bracket.high;
    Counts ties = count_scores_at(scores, key, executor);
    const std::int64_t equal = std::accumulate(ties.begin(), ties.end(), std::int64_t{0});
    const std::int64_t left = prune - (at_low ? pruned - equal : pruned + between);
    if (left > 0 && left <= equal) return prune_to(scores, key, first_of(std::move(ties), left), masks, executor);
  }
}

}  // namespace fairopt::kernels
