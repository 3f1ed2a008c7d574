// Masks by magnitude. The key of a score is the bits of |score|: as integers they sort like the magnitudes.

inline I32 keys(F32 score) { return as_int(abs(score)); }
constexpr std::int32_t kNoKey = -2147483647 - 1;

// The keys of a vector of scores of which `left` are there; the others are `none`.
inline I32 keys_or(const float* score, std::int64_t left, std::int32_t none) {
  if (left >= F32::kWidth) return keys(load(score));
  const int n = static_cast<int>(left);
  return select(splat(n) > lane_indices(), keys(load_first(score, n)), splat(none));
}
inline void store_bits_first(std::uint8_t* p, std::uint64_t bits, std::int64_t n) {
  if (n >= 64) return store_bits(p, bits);
  for (std::int64_t i = 0; i < n; ++i) p[i] = bits >> i & 1;
}

void multiply(const float* a, const float* b, std::int64_t n, float* out) {
  std::int64_t i = 0;
  for (; i + F32::kWidth <= n; i += F32::kWidth) store(out + i, load(a + i) * load(b + i));
  for (; i < n; ++i) out[i] = a[i] * b[i];
}

// Keeps what lies above bracket.low, and collects the keys in the bracket with their places, `first` that of score[0].
BracketCounts mask_above_bracket(const float* score, std::int64_t n, KeyBracket bracket, std::uint8_t* mask,
                                 std::int64_t first, BracketedKeys found) {
  const I32 low = splat(bracket.low), high = splat(bracket.high);
  I32 place = lane_indices() + splat(static_cast<std::int32_t>(first));
  BracketCounts counts{};
  for (std::int64_t i = 0; i < n; i += 64) {
    std::uint64_t kept = 0;
    for (int lane = 0; lane < 64 && i + lane < n; lane += F32::kWidth) {
      const I32 key = keys_or(score + i + lane, n - i - lane, kNoKey);
      const Mask above = key > low, inside = above & (high > key);
      store_where(found.places + counts.between, inside, place);
      counts.between += store_where(found.keys + counts.between, inside, key);
      place = place + splat(F32::kWidth);
      kept |= std::uint64_t{lane_bits(above)} << lane;
    }
    counts.above_low += __builtin_popcountll(kept);
    store_bits_first(mask + i, kept, n - i);
  }
  return counts;
}

std::int64_t count_below(const std::int32_t* keys, std::int64_t n, std::int32_t limit) {
  I32 below = splat(0);
  std::int64_t i = 0, rest = 0;
  for (; i + F32::kWidth <= n; i += F32::kWidth) below = increment(below, splat(limit) > load_i32(keys + i));
  for (; i < n; ++i) rest += keys[i] < limit;
  return sum(below) + rest;
}

std::int64_t count_scores_at(const float* score, std::int64_t n, std::int32_t wanted) {
  I32 found = splat(0);
  for (std::int64_t i = 0; i < n; i += F32::kWidth) {
    found = increment(found, keys_or(score + i, n - i, kNoKey) == splat(wanted));
  }
  return sum(found);
}

// Keeps what lies above the threshold key, and what equals it once the first *ties of those are pruned.
void mask_above(const float* score, std::int64_t n, std::int32_t threshold, std::int64_t* ties, std::uint8_t* mask) {
  const I32 limit = splat(threshold);
  for (std::int64_t i = 0; i < n; i += F32::kWidth) {
    const int lanes = n - i < F32::kWidth ? static_cast<int>(n - i) : F32::kWidth;
    const I32 key = keys(lanes == F32::kWidth ? load(score + i) : load_first(score + i, lanes));
    const I32 keep = increment(splat(0), key > limit);
    if (lanes == F32::kWidth) {
      store_u8(mask + i, keep);
    } else {
      store_u8_first(mask + i, keep, lanes);
    }
    if (count(key == limit) == 0) continue;
    for (int lane = 0; lane < lanes; ++lane) {
      std::int32_t bits;
      __builtin_memcpy(&bits, score + i + lane, sizeof bits);
      if ((bits & 0x7fffffff) != threshold) continue;
      mask[i + lane] = *ties == 0;
      *ties -= *ties != 0;
    }
  }
}

// A value is kept if fewer than n of its group beat it: by magnitude, among equals by the higher index.
void n_of_m_scalar(const float* score, std::int64_t count, int n, int m, std::uint8_t* mask) {
  for (std::int64_t first = 0; first < count; first += m) {
    std::int32_t key[32];
    for (int i = 0; i < m; ++i) {
      __builtin_memcpy(&key[i], score + first + i, sizeof key[i]);
      key[i] &= 0x7fffffff;
    }
    for (int i = 0; i < m; ++i) {
      int better = 0;
      for (int j = 0; j < m; ++j) better += key[j] > key[i] - (j > i);
      mask[first + i] = better < n;
    }
  }
}

// A group a lane: value i of every group meets value j of its own.
void n_of_m_across(const float* score, std::int64_t count, int n, int m, std::uint8_t* mask) {
  const std::int64_t step = std::int64_t{F32::kWidth} * m;
  std::int32_t places[F32::kWidth];
  for (int lane = 0; lane < F32::kWidth; ++lane) places[lane] = lane * m;
  const I32 starts = load_i32(places);
  for (; count >= step; count -= step, score += step, mask += step) {
    I32 key[32], better[32];
    for (int i = 0; i < m; ++i) {
      key[i] = keys(gather(score, starts + splat(i)));
      better[i] = splat(0);
    }
    for (int i = 1; i < m; ++i) {
      for (int j = 0; j < i; ++j) {
        const Mask loses = key[j] > key[i];  // of equals the higher index, i, is the better
        better[i] = increment(better[i], loses);
        better[j] = better[j] + select(loses, splat(0), splat(1));
      }
    }
    for (int i = 0; i < m; ++i) {
      const unsigned kept = lane_bits(splat(n) > better[i]);
      for (int lane = 0; lane < F32::kWidth; ++lane) mask[lane * m + i] = kept >> lane & 1;
    }
  }
  n_of_m_scalar(score, count, n, m, mask);
}

// Where groups fill vectors: compares each lane with the other m - 1 of its group by rotating the group.
void n_of_m_rotating(const float* score, std::int64_t count, int n, int m, std::uint8_t* mask) {
  I32 rotation[F32::kWidth], later[F32::kWidth];  // lane that comes to lie here; 1 where it comes from the right
  const I32 lane = lane_indices(), within = splat(m - 1);
  for (int d = 1; d < m; ++d) {
    const I32 place = (lane + splat(d)) & within;
    rotation[d] = (lane - (lane & within)) | place;
    later[d] = increment(splat(0), place > (lane & within));
  }
  for (std::int64_t i = 0; i < count; i += F32::kWidth) {
    const int lanes = count - i < F32::kWidth ? static_cast<int>(count - i) : F32::kWidth;
    const I32 key = keys_or(score + i, lanes, 0);
    I32 better = splat(0);
    for (int d = 1; d < m; ++d) better = increment(better, permute(key, rotation[d]) > key - later[d]);
    const I32 keep = increment(splat(0), splat(n) > better);
    if (lanes == F32::kWidth) {
      store_u8(mask + i, keep);
    } else {
      store_u8_first(mask + i, keep, lanes);
    }
  }
}

void n_of_m(const float* score, std::int64_t count, int n, int m, std::uint8_t* mask) {
  (F32::kWidth % m == 0 ? n_of_m_rotating : n_of_m_across)(score, count, n, m, mask);
}
