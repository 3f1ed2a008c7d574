// Masks by magnitude. The key of a score is the bits of |score|: as integers they sort like the magnitudes.

inline I32 keys(F32 score) { return as_int(abs(score)); }

// Collects the keys whose high bits are `bucket`, in order; `out` has room for n + kVectorPadding.
std::int64_t keys_in_bucket(const float* score, std::int64_t n, std::int32_t bucket, std::int32_t* out) {
  std::int64_t found = 0, i = 0;
  const I32 wanted = splat(bucket);
  for (; i + F32::kWidth <= n; i += F32::kWidth) {
    const I32 key = keys(load(score + i));
    found += store_where(out + found, shift_right<kBucketLowBits>(key) == wanted, key);
  }
  if (i == n) return found;
  const int rest = static_cast<int>(n - i);
  const I32 key = keys(load_first(score + i, rest));
  const I32 high = select(splat(rest) > lane_indices(), shift_right<kBucketLowBits>(key), splat(-1));
  return found + store_where(out + found, high == wanted, key);
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
