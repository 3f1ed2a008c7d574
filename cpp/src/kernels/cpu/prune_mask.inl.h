// Masks by magnitude. The key of a score is the bits of |score|: as integers they sort like the magnitudes. Scores are
// taken 64 at a time, and their masks are words of 64 bits.

inline I32 keys(F32 score) { return as_int(abs(score)); }

// The next 64 scores or keys, of which `left` are there; zeros, in `room`, follow the last.
template <class T>
inline const T* next_64(const T* from, std::int64_t left, T* room) {
  for (int line = 0; line < 64; line += 16) prefetch_stream(from + line);
  if (left >= 64) return from;
  for (int i = 0; i < 64; ++i) room[i] = i < left ? from[i] : 0;
  return room;
}
// Those bits of a word that belong to a score.
inline std::uint64_t first_bits(std::uint64_t word, std::int64_t left) {
  return left >= 64 ? word : word & ((std::uint64_t{1} << left) - 1);
}
inline std::uint64_t word_bits(Mask lanes, int first) { return std::uint64_t{lane_bits(lanes)} << first; }

inline void store_mask(std::uint8_t* mask, std::uint64_t kept, std::int64_t left) {
  if (left >= 64) return store_bits(mask, kept);
  for (std::int64_t i = 0; i < left; ++i) mask[i] = kept >> i & 1;
}

// Past the caches, where memory that will not be read soon would be fetched before it is written.
void stream_bytes(const std::uint8_t* from, std::int64_t n, std::uint8_t* to) {
  std::int64_t i = 0;
  for (; i < n && reinterpret_cast<std::uintptr_t>(to + i) % 64 != 0; ++i) to[i] = from[i];
  for (; i + 64 <= n; i += 64) stream_64_bytes(from + i, to + i);
  for (; i < n; ++i) to[i] = from[i];
}

void multiply(const float* a, const float* b, std::int64_t n, float* out) {
  std::int64_t i = 0;
  for (; i + F32::kWidth <= n; i += F32::kWidth) {
    prefetch_stream(a + i);
    store(out + i, load(a + i) * load(b + i));
  }
  for (; i < n; ++i) out[i] = a[i] * b[i];
}

// Returns the largest key; norms are null, or the factors of the values.
std::int32_t magnitude_keys(const float* values, const float* norms, std::int64_t n, std::int32_t* key) {
  const auto keys_at = [&](std::int64_t i, int lanes) {
    const bool whole = lanes == F32::kWidth;
    const F32 value = whole ? load(values + i) : load_first(values + i, lanes);
    if (norms == nullptr) return keys(value);
    return keys(value * (whole ? load(norms + i) : load_first(norms + i, lanes)));
  };
  I32 largest = splat(0);
  std::int64_t i = 0;
  for (; i + F32::kWidth <= n; i += F32::kWidth) {
    prefetch_stream(values + i);
    const I32 own = keys_at(i, F32::kWidth);
    largest = max(largest, own);
    store_i32(key + i, own);
  }
  if (i < n) {
    std::int32_t lanes[F32::kWidth];
    const I32 own = keys_at(i, static_cast<int>(n - i));
    largest = max(largest, own);
    store_i32(lanes, own);
    for (std::int64_t j = i; j < n; ++j) key[j] = lanes[j - i];
  }
  return reduce_max(largest);
}

// Keeps what is not below bracket.cut, and collects the keys in the bracket with their places, `first` that of
// score[0].
BracketCounts mask_and_collect(const float* score, std::int64_t n, KeyBracket bracket, std::uint8_t* mask,
                               std::int64_t first, BracketedKeys found) {
  constexpr std::int64_t kSpan = 4096;  // what was read is in the first cache when its keys are collected
  const I32 low = splat(bracket.low - 1), cut = splat(bracket.cut - 1), high = splat(bracket.high);
  I32 largest = splat(0);
  BracketCounts counts{};
  for (std::int64_t begin = 0; begin < n; begin += kSpan) {
    const std::int64_t end = n - begin < kSpan ? n : begin + kSpan;
    std::uint64_t
        words[kSpan / 64];  // those with keys in the bracket: few, and a branch at each would be guessed wrong
    std::int64_t starts[kSpan / 64];
    int used = 0;
    for (std::int64_t i = begin; i < end; i += 64) {
      float room[64];
      const float* at = next_64(score + i, n - i, room);
      std::uint64_t kept = 0, inside = 0;
      for (int lane = 0; lane < 64; lane += F32::kWidth) {
        const I32 key = keys(load(at + lane));
        largest = max(largest, key);
        kept |= word_bits(key > cut, lane);
        inside |= word_bits((key > low) & (high > key), lane);
      }
      inside = first_bits(inside, n - i);
      counts.not_below += __builtin_popcountll(first_bits(kept, n - i) | inside);
      store_mask(mask + i, kept, n - i);
      words[used] = inside;
      starts[used] = i;
      used += inside != 0;
    }
    for (int i = 0; i < used; ++i) {
      for (; words[i] != 0; words[i] &= words[i] - 1) {
        const std::int64_t place = starts[i] + __builtin_ctzll(words[i]);
        std::int32_t bits;
        __builtin_memcpy(&bits, score + place, sizeof bits);
        found.keys[counts.between] = bits & 0x7fffffff;
        found.places[counts.between++] = static_cast<std::uint16_t>(first + place);
      }
    }
  }
  counts.largest = reduce_max(largest);
  return counts;
}

std::int64_t count_below(const std::int32_t* keys, std::int64_t n, std::int32_t limit) {
  const I32 above = splat(limit);
  I32 below[4] = {splat(0), splat(0), splat(0), splat(0)};
  std::int64_t i = 0, rest = 0;
  for (; i + 4 * F32::kWidth <= n; i += 4 * F32::kWidth) {
    for (int j = 0; j < 4; ++j) below[j] = increment(below[j], above > load_i32(keys + i + j * F32::kWidth));
  }
  for (; i < n; ++i) rest += keys[i] < limit;
  return sum(below[0] + below[1] + (below[2] + below[3])) + rest;
}

// Keeps what lies above a key, and what equals it once the first *ties of those are pruned.
void mask_above(const std::int32_t* keys, std::int64_t n, std::int32_t key, std::int64_t* ties, std::uint8_t* mask) {
  const I32 limit = splat(key);
  for (std::int64_t i = 0; i < n; i += 64) {
    std::int32_t room[64];
    const std::int32_t* at = next_64(keys + i, n - i, room);
    std::uint64_t above = 0, equal = 0;
    for (int lane = 0; lane < 64; lane += F32::kWidth) {
      const I32 own = load_i32(at + lane);
      above |= word_bits(own > limit, lane);
      equal |= word_bits(own == limit, lane);
    }
    for (equal = first_bits(equal, n - i); equal != 0 && *ties > 0; --*ties) equal &= equal - 1;
    store_mask(mask + i, above | equal, n - i);
  }
}

// A value is kept if fewer than n of its group beat it: by magnitude, among equals by the higher index.
std::int32_t n_of_m_scalar(const float* score, std::int64_t count, int n, int m, std::uint8_t* mask) {
  std::int32_t largest = 0;
  for (std::int64_t first = 0; first < count; first += m) {
    std::int32_t key[32];
    for (int i = 0; i < m; ++i) {
      __builtin_memcpy(&key[i], score + first + i, sizeof key[i]);
      key[i] &= 0x7fffffff;
      if (key[i] > largest) largest = key[i];
    }
    for (int i = 0; i < m; ++i) {
      int better = 0;
      for (int j = 0; j < m; ++j) better += key[j] > key[i] - (j > i);
      mask[first + i] = better < n;
    }
  }
  return largest;
}

// A group a lane: value i of every group meets value j of its own.
std::int32_t n_of_m_across(const float* score, std::int64_t count, int n, int m, std::uint8_t* mask) {
  const std::int64_t step = std::int64_t{F32::kWidth} * m;
  std::int32_t places[F32::kWidth];
  for (int lane = 0; lane < F32::kWidth; ++lane) places[lane] = lane * m;
  const I32 starts = load_i32(places);
  I32 largest = splat(0);
  for (; count >= step; count -= step, score += step, mask += step) {
    I32 key[32], better[32];
    for (int i = 0; i < m; ++i) {
      key[i] = keys(gather(score, starts + splat(i)));
      better[i] = splat(0);
      largest = max(largest, key[i]);
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
  const std::int32_t rest = n_of_m_scalar(score, count, n, m, mask), here = reduce_max(largest);
  return rest > here ? rest : here;
}

// As many 64-bit words as a vector of the level holds. Bit i of a word belongs to value i of 64.
typedef std::uint64_t Words __attribute__((vector_size(4 * F32::kWidth)));
constexpr int kWords = F32::kWidth / 2;

// Each group of kM bits turned by d: bit i comes from bit i - d.
template <int kM>
inline Words turn(Words word, int d) {
  const std::uint64_t ones = ~std::uint64_t{0} / ((std::uint64_t{1} << kM) - 1), low = ones * ((1u << d) - 1);
  return (word << d & ~low) | (word >> (kM - d) & low);
}

// A number for each bit of words, its digits in as many words.
template <int kDigits>
struct BitCounts {
  Words digits[kDigits];

  Words below(int n) const {  // n in [1, 2^kDigits]
    Words less{}, equal = ~Words{};
    for (int i = kDigits - 1; i >= 0; --i) {
      const Words digit = Words{} - static_cast<std::uint64_t>((n - 1) >> i & 1);
      less |= equal & digit & ~digits[i];
      equal &= ~(digit ^ digits[i]);
    }
    return less | equal;
  }
};

// How many of 2^kDigits - 1 words have a bit: the counts of two halves, added, and the last word as the first carry.
template <int kDigits>
inline BitCounts<kDigits> count_words(const Words* words) {
  BitCounts<kDigits> sum;
  Words carry = words[(1 << kDigits) - 2];
  if constexpr (kDigits > 1) {
    const auto a = count_words<kDigits - 1>(words), b = count_words<kDigits - 1>(words + (1 << (kDigits - 1)) - 1);
    for (int i = 0; i < kDigits - 1; ++i) {
      const Words one = a.digits[i] ^ b.digits[i];
      sum.digits[i] = one ^ carry;
      carry = (a.digits[i] & b.digits[i]) | (one & carry);
    }
  }
  sum.digits[kDigits - 1] = carry;
  return sum;
}

// By lane. A loop of its own: among the rotations of AVX2 it would have no register.
inline I32 largest_keys(const float* score, std::int64_t n) {
  I32 largest = splat(0);
  for (; n >= F32::kWidth; n -= F32::kWidth, score += F32::kWidth) {
    prefetch_stream(score);
    largest = max(largest, keys(load(score)));
  }
  return n == 0 ? largest : max(largest, keys(load_first(score, static_cast<int>(n))));
}

// Where groups fill vectors: each lane meets the next d of its group, d up to kM / 2. The rest follows, turned and
// negated: of two values exactly one beats the other.
template <int kLogM>
std::int32_t n_of_m_words(const float* score, std::int64_t count, int n, std::uint8_t* mask) {
  constexpr int kM = 1 << kLogM, kHalf = kM / 2;
  I32 rotation[kHalf], later[kHalf];  // the lane that is met; 1 where its index is the higher one
  const I32 lanes = lane_indices(), within = splat(kM - 1);
  for (int d = 1; d <= kHalf; ++d) {
    const I32 place = (lanes + splat(d)) & within;
    rotation[d - 1] = (lanes - (lanes & within)) | place;
    later[d - 1] = increment(splat(0), place > (lanes & within));
  }
  I32 largest = splat(0);
  for (std::int64_t begin = 0; begin < count; begin += 64 * kWords) {
    alignas(Words) std::uint64_t bits[kHalf][kWords] = {};
    const std::int64_t left = count - begin;
    largest = max(largest, largest_keys(score + begin, left < 64 * kWords ? left : 64 * kWords));
    for (int word = 0; word < kWords && 64 * word < left; ++word) {
      float room[64];
      const float* at = next_64(score + begin + 64 * word, left - 64 * word, room);
      for (int lane = 0; lane < 64; lane += F32::kWidth) {
        const I32 key = keys(load(at + lane));
        for (int d = 0; d < kHalf; ++d) {
          store_lane_bits(bits[d] + word, lane / F32::kWidth, permute(key, rotation[d]) > key - later[d]);
        }
      }
    }
    Words beaten[kM - 1];
    for (int d = 0; d < kHalf; ++d) __builtin_memcpy(&beaten[d], bits[d], sizeof(Words));
    for (int d = 1; d < kHalf; ++d) beaten[kM - 1 - d] = ~turn<kM>(beaten[d - 1], d);
    const Words kept = count_words<kLogM>(beaten).below(n);
    for (int word = 0; word < kWords && 64 * word < left; ++word) {
      store_mask(mask + begin + 64 * word, kept[word], left - 64 * word);
    }
  }
  return reduce_max(largest);
}

// Returns the largest key.
std::int32_t n_of_m(const float* score, std::int64_t count, int n, int m, std::uint8_t* mask) {
  if (m == 2) return n_of_m_words<1>(score, count, n, mask);
  if (m == 4) return n_of_m_words<2>(score, count, n, mask);
  if constexpr (F32::kWidth >= 8) {
    if (m == 8) return n_of_m_words<3>(score, count, n, mask);
  }
  if constexpr (F32::kWidth >= 16) {
    if (m == 16) return n_of_m_words<4>(score, count, n, mask);
  }
  return n_of_m_across(score, count, n, m, mask);
}
