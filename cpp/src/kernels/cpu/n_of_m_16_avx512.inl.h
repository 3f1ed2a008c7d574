// N:M of 16-bit floats by their bits: 32 values a vector, groups of up to 8, which a shuffle of bytes turns.

// By distance d - 1: for each value the bytes of the one d further on in its group and of the one d before, in turn
// from the end to the beginning; 1 where the one further on has the higher index.
template <int kM>
struct Turns16 {
  alignas(64) std::uint8_t next[kM / 2][64] = {}, previous[kM / 2][64] = {};
  alignas(64) std::uint16_t later[kM / 2][32] = {};

  constexpr Turns16() {
    for (int d = 1; d <= kM / 2; ++d) {
      for (int i = 0; i < 32; ++i) {
        const int own = i % kM, first = i % 8 - own, there = (own + d) % kM, before = (own + kM - d) % kM;
        for (int byte = 0; byte < 2; ++byte) {
          next[d - 1][2 * i + byte] = static_cast<std::uint8_t>(2 * (first + there) + byte);
          previous[d - 1][2 * i + byte] = static_cast<std::uint8_t>(2 * (first + before) + byte);
        }
        later[d - 1][i] = there > own;
      }
    }
  }
};

// A value is beaten by the one d further on, -1 in sign[d - 1], for d up to kM / 2; by those before it where these are
// not beaten by it. Kept is what fewer than n beat.
template <int kLogM>
inline __mmask32 kept_of_32(__m512i key, __m512i most, const __m512i* rotation, const __m512i* back,
                            const __m512i* later) {
  constexpr int kHalf = 1 << kLogM >> 1;
  __m512i sign[kHalf], left = most;
  for (int d = 0; d < kHalf; ++d) {
    const __m512i met = _mm512_shuffle_epi8(key, rotation[d]);
    sign[d] = _mm512_srai_epi16(_mm512_sub_epi16(_mm512_sub_epi16(key, later[d]), met), 15);
    left = _mm512_add_epi16(left, sign[d]);
  }
  for (int d = 0; d + 1 < kHalf; ++d) left = _mm512_sub_epi16(left, _mm512_shuffle_epi8(sign[d], back[d]));
  return _mm512_cmpgt_epi16_mask(left, _mm512_setzero_si512());
}

// `count` is a multiple of 2^kLogM. Returns the largest key: bits without the sign, which sort like magnitudes.
template <int kLogM>
std::int32_t n_of_m_16(const std::uint16_t* score, std::int64_t count, int n, std::uint8_t* mask) {
  constexpr int kM = 1 << kLogM, kHalf = kM / 2;
  static constexpr Turns16<kM> kTurns;
  __m512i rotation[kHalf], back[kHalf], later[kHalf];
  for (int d = 0; d < kHalf; ++d) {
    rotation[d] = _mm512_load_si512(kTurns.next[d]);
    back[d] = _mm512_load_si512(kTurns.previous[d]);
    later[d] = _mm512_load_si512(kTurns.later[d]);
  }
  const __m512i magnitude = _mm512_set1_epi16(0x7fff);
  const __m512i most = _mm512_set1_epi16(static_cast<short>(n - (kHalf - 1)));
  __m512i largest = _mm512_setzero_si512();
  for (std::int64_t i = 0; i < count; i += 64) {
    const std::int64_t left = count - i;
    const std::uint64_t there = first_bits(~std::uint64_t{0}, left);
    prefetch_stream(score + i);
    prefetch_stream(score + i + 32);
    const __m512i low = _mm512_maskz_loadu_epi16(static_cast<__mmask32>(there), score + i);
    const __m512i high = _mm512_maskz_loadu_epi16(static_cast<__mmask32>(there >> 32), score + i + 32);
    const __m512i a = _mm512_and_si512(low, magnitude), b = _mm512_and_si512(high, magnitude);
    largest = _mm512_max_epi16(largest, _mm512_max_epi16(a, b));
    const __mmask32 kept_a = kept_of_32<kLogM>(a, most, rotation, back, later);
    const __mmask32 kept_b = kept_of_32<kLogM>(b, most, rotation, back, later);
    store_mask(mask + i, _cvtmask64_u64(_mm512_kunpackd(kept_b, kept_a)), left);
  }
  const __m512i odd = _mm512_srli_epi32(largest, 16), even = _mm512_and_si512(largest, _mm512_set1_epi32(0xffff));
  return _mm512_reduce_max_epi32(_mm512_max_epi32(odd, even));
}

std::int32_t n_of_m_16(const std::uint16_t* score, std::int64_t count, int n, int m, std::uint8_t* mask) {
  if (m == 2) return n_of_m_16<1>(score, count, n, mask);
  return m == 4 ? n_of_m_16<2>(score, count, n, mask) : n_of_m_16<3>(score, count, n, mask);
}
