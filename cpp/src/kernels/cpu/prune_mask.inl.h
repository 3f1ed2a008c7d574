// Masks by magnitude. The key of a score is the bits of |score|: as integers they sort like the magnitudes.

inline I32 keys(F32 score) { return as_int(abs(score)); }
inline I32 load_i32(const std::int32_t* p) {
  float lanes[F32::kWidth];
  __builtin_memcpy(lanes, p, sizeof lanes);
  return as_int(load(lanes));
}
constexpr std::int32_t kNoKey = -2147483647 - 1;

void multiply(const float* a, const float* b, std::int64_t n, float* out) {
  std::int64_t i = 0;
  for (; i + F32::kWidth <= n; i += F32::kWidth) store(out + i, load(a + i) * load(b + i));
  for (; i < n; ++i) out[i] = a[i] * b[i];
}

inline std::int64_t total(I32 counts) {
  std::int32_t lanes[F32::kWidth];
  store_where(lanes, counts == counts, counts);
  std::int64_t sum = 0;
  for (const std::int32_t lane : lanes) sum += lane;
  return sum;
}

// Keeps what lies above bracket.low, and collects the keys in the bracket with their places, `first` that of score[0].
BracketCounts mask_above_bracket(const float* score, std::int64_t n, KeyBracket bracket, std::uint8_t* mask,
                                 std::int64_t first, BracketedKeys found) {
  const I32 low = splat(bracket.low), high = splat(bracket.high), step = splat(F32::kWidth);
  I32 place = lane_indices() + splat(static_cast<std::int32_t>(first));
  I32 at_low = splat(0), at_high = splat(0), above = splat(0);
  std::int64_t between = 0, i = 0;
  const auto look = [&](I32 key) {
    const Mask inside = (key > low) & (high > key);
    store_where(found.places + between, inside, place);
    between += store_where(found.keys + between, inside, key);
    place = place + step;
    at_low = increment(at_low, key == low);
    at_high = increment(at_high, key == high);
    above = increment(above, key > high);
    return increment(splat(0), key > low);
  };
  for (; i + F32::kWidth <= n; i += F32::kWidth) store_u8(mask + i, look(keys(load(score + i))));
  if (i < n) {
    const int rest = static_cast<int>(n - i);
    const I32 key = keys(load_first(score + i, rest));
    store_u8_first(mask + i, look(select(splat(rest) > lane_indices(), key, splat(kNoKey))), rest);
  }
  return {total(at_low), between, total(at_high), total(above)};
}

std::int64_t count_below(const std::int32_t* keys, std::int64_t n, std::int32_t limit) {
  I32 below = splat(0);
  std::int64_t i = 0, rest = 0;
  for (; i + F32::kWidth <= n; i += F32::kWidth) below = increment(below, splat(limit) > load_i32(keys + i));
  for (; i < n; ++i) rest += keys[i] < limit;
  return total(below) + rest;
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
void n_of_m_any(const float* score, std::int64_t count, int n, int m, std::uint8_t* mask) {
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
    const I32 key = keys(lanes == F32::kWidth ? load(score + i) : load_first(score + i, lanes));
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
  (F32::kWidth % m == 0 ? n_of_m_rotating : n_of_m_any)(score, count, n, m, mask);
}
