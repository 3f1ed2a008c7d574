// A sample of the scores brackets the threshold between two keys. One pass writes the mask of all that lies outside and
// collects the few keys inside, of which the wanted one is found by halving the bracket. A bracket that misses, which
// the counts of the pass tell, is followed by a wider one. Sampling decides how long that takes, never the result.
#include "kernels/prune_select.h"

#include <atomic>
#include <cmath>
#include <limits>
#include <memory>

namespace fairopt::kernels {
namespace {

constexpr std::int32_t kLargestKey = std::numeric_limits<std::int32_t>::max();
constexpr KeyBracket kEverything{-1, kLargestKey};

/// What a pass found in a chunk.
struct Part {
  BracketCounts counts{};
  std::vector<std::int32_t> keys, places;
  std::int64_t nonfinite = 0;
};

/// Keys at places that differ in distance, so that no structure of the matrix misleads: one of each `n / count`
/// entries.
std::vector<std::int32_t> sample(const ScoreChunks& scores, std::int64_t count, std::uint64_t seed) {
  std::vector<std::int32_t> keys;
  const std::int64_t stride = scores.entries() / count;
  std::int64_t chunk = 0, before = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    std::uint64_t bits = (seed << 40) + static_cast<std::uint64_t>(i) * 0x9e3779b97f4a7c15;
    bits = (bits ^ bits >> 31) * 0xbf58476d1ce4e5b9;
    const std::int64_t place =
        i * stride + static_cast<std::int64_t>((bits >> 33) % static_cast<std::uint64_t>(stride));
    while (place - before >= scores[chunk].size()) before += scores[chunk++].size();
    float value, score;
    const ScoreRun run = scores.read(scores[chunk].matrix, scores[chunk].first + place - before, 1, &value, &score);
    keys.push_back(std::bit_cast<std::int32_t>(run.scores[0]) & kLargestKey);
  }
  return keys;
}

/// A bracket in which the key of this rank lies, most likely: its rank in a sample, and three standard deviations to
/// each side, twice as many with every attempt.
KeyBracket guess(const ScoreChunks& scores, std::int64_t rank, int attempt) {
  const std::int64_t n = scores.entries();
  const std::int64_t count = std::min(n / 64, std::max(std::int64_t{16384}, n / 4096));
  if (count < 32) return kEverything;
  std::vector<std::int32_t> keys = sample(scores, count, static_cast<std::uint64_t>(attempt));
  const double share = static_cast<double>(rank) / static_cast<double>(n), samples = static_cast<double>(count);
  const double spread = std::ldexp(2 + 3 * std::sqrt(share * (1 - share) * samples), attempt);
  const double low = std::floor(share * samples - spread), high = std::ceil(share * samples + spread);
  const auto at = [&](double place) {
    const auto nth = keys.begin() + static_cast<std::ptrdiff_t>(place);
    std::nth_element(keys.begin(), nth, keys.end());
    return *nth;
  };
  return {low < 0 ? kEverything.low : at(low), high >= samples ? kEverything.high : at(high)};
}

Part split_chunk(const ScoreChunks& scores, const ScoreChunks::Chunk& chunk, KeyBracket bracket, BracketedKeys found,
                 std::uint8_t* mask) {
  Part part;
  scores.for_each_run(chunk, [&](const ScoreRun& run) {
    const std::int64_t collected = part.counts.between;
    const BracketCounts counts =
        table().mask_above_bracket(run.scores, run.count, bracket, mask + run.first, run.first - chunk.first,
                                   {found.keys + collected, found.places + collected});
    part.counts.at_low += counts.at_low;
    part.counts.between += counts.between;
    part.counts.at_high += counts.at_high;
    part.counts.above += counts.above;
    part.nonfinite += table().count_nonfinite(run.values, run.count);
  });
  part.keys.assign(found.keys, found.keys + part.counts.between);
  part.places.assign(found.places, found.places + part.counts.between);
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
    const auto keys = std::make_unique_for_overwrite<std::int32_t[]>(2 * room);
    for (; first < last; ++first) {
      parts[static_cast<std::size_t>(first)] =
          split_chunk(scores, scores[first], bracket, {keys.get(), keys.get() + room}, masks[scores[first].matrix]);
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

/// The key of this rank among those collected from the bracket.
std::int32_t find_key(const std::vector<Part>& parts, KeyBracket bracket, std::int64_t rank, Executor& executor) {
  std::int64_t from = std::int64_t{bracket.low} + 1,
               to = bracket.high;  // at most `rank` keys lie below `from`, more below `to`
  while (to - from > 1) {
    const std::int64_t middle = from + (to - from) / 2;
    (count_below(parts, static_cast<std::int32_t>(middle), executor) <= rank ? from : to) = middle;
  }
  return static_cast<std::int32_t>(from);
}

/// How many of the first `prune` ties lie in each chunk, which has ties(part).
template <class Ties>
std::vector<std::int64_t> share_ties(const std::vector<Part>& parts, std::int64_t prune, const Ties& ties) {
  std::vector<std::int64_t> shares;
  for (const Part& part : parts) {
    shares.push_back(prune == 0 ? 0 : std::min(prune, ties(part)));
    prune -= shares.back();
  }
  return shares;
}

/// Prunes what lies in the bracket up to the key, and of that key itself the first `ties`.
void prune_between(const ScoreChunks& scores, const std::vector<Part>& parts, std::int32_t key, std::int64_t ties,
                   std::span<std::uint8_t* const> masks, Executor& executor) {
  const std::vector<std::int64_t> shares = share_ties(
      parts, ties, [&](const Part& part) { return std::int64_t{std::count(part.keys.begin(), part.keys.end(), key)}; });
  executor.parallel_for(0, scores.size(), 64, [&](std::int64_t first, std::int64_t last) {
    for (; first < last; ++first) {
      const Part& part = parts[static_cast<std::size_t>(first)];
      std::uint8_t* mask = masks[scores[first].matrix] + scores[first].first;
      std::int64_t left = shares[static_cast<std::size_t>(first)];
      for (std::size_t i = 0; i < part.keys.size(); ++i) {
        const bool tied = part.keys[i] == key && left > 0;
        left -= tied;
        mask[part.places[i]] = part.keys[i] >= key && !tied;
      }
    }
  });
}

/// Prunes what lies below a limit of the bracket, and of that limit itself the first `ties`.
template <class Ties>
void prune_to_limit(const ScoreChunks& scores, const std::vector<Part>& parts, std::int32_t key, std::int64_t prune,
                    const Ties& ties, std::span<std::uint8_t* const> masks, Executor& executor) {
  const std::vector<std::int64_t> shares = share_ties(parts, prune, ties);
  executor.parallel_for(0, scores.size(), 1, [&](std::int64_t first, std::int64_t last) {
    for (; first < last; ++first) {
      std::int64_t left = shares[static_cast<std::size_t>(first)];
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
    const KeyBracket bracket = prune == 0 ? KeyBracket{-1, 0} : guess(scores, prune - 1, attempt);
    const std::vector<Part> parts = split(scores, bracket, masks, executor);
    BracketCounts counts{};
    std::int64_t bad = 0;
    for (std::int64_t i = 0; i < scores.size(); ++i) {
      const Part& part = parts[static_cast<std::size_t>(i)];
      counts.at_low += part.counts.at_low;
      counts.between += part.counts.between;
      counts.at_high += part.counts.at_high;
      counts.above += part.counts.above;
      nonfinite[scores[i].matrix] += part.nonfinite;
      bad += part.nonfinite;
    }
    if (bad > 0 || prune == 0) return;

    std::int64_t left = prune - (scores.entries() - counts.at_low - counts.between - counts.at_high - counts.above);
    if (left <= 0) continue;
    if (left <= counts.at_low) {
      const auto ties = [](const Part& part) { return part.counts.at_low; };
      return prune_to_limit(scores, parts, bracket.low, left, ties, masks, executor);
    }
    left -= counts.at_low;
    if (left <= counts.between) {
      const std::int32_t key = find_key(parts, bracket, left - 1, executor);
      return prune_between(scores, parts, key, left - count_below(parts, key, executor), masks, executor);
    }
    left -= counts.between;
    if (left <= counts.at_high) {
      const auto ties = [](const Part& part) { return part.counts.at_high; };
      return prune_to_limit(scores, parts, bracket.high, left, ties, masks, executor);
    }
  }
}

}  // namespace fairopt::kernels
