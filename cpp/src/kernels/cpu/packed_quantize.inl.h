// Activations to digit planes. In a block with amax = max |x| and P planes: L = 127 * 256^(P - 1), step = amax / L,
// q = rint(x * (L / amax)) within [-L, L]; balanced digits base 256, lowest plane first. The bytes of q + 0x80..80 are
// the digits + 128, so one addition splits q.

/// Blocks below are left to the exact arithmetic: L / amax and step keep clear of overflow and of subnormals.
constexpr float kSmallestMax = 0x1p-80f;

/// The largest magnitude of n values by its bits: infinity and NaN are larger than all others.
inline std::int32_t max_magnitude(const float* x, std::int64_t n) {
  const auto magnitude = [](F32 a) { return as_int(a) & splat(0x7fffffff); };
  I32 most = splat(0);
  std::int64_t i = 0;
  for (; i + F32::kWidth <= n; i += F32::kWidth) {
    const I32 m = magnitude(load(x + i));
    most = select(m > most, m, most);
  }
  if (i < n) {
    const I32 m = magnitude(load_first(x + i, static_cast<int>(n - i)));
    most = select(m > most, m, most);
  }
  float lanes[F32::kWidth];
  store(lanes, as_float(most));
  std::int32_t largest = 0;
  for (const float lane : lanes) {
    const std::int32_t bits = __builtin_bit_cast(std::int32_t, lane);
    largest = bits > largest ? bits : largest;
  }
  return largest;
}

inline std::int32_t sum_lanes(I32 a) {
  float lanes[F32::kWidth];
  store(lanes, as_float(a));
  std::int32_t total = 0;
  for (const float lane : lanes) total += __builtin_bit_cast(std::int32_t, lane);
  return total;
}

/// Whether the largest values stand out: of the values that are not 0 some do not exceed `level`, and no more than one
/// in eight, rounded up, do.
inline bool stands_out(std::int32_t above, std::int32_t nonzero) {
  return above < nonzero && 8 * (above - 1) < nonzero;
}

/// All by exact comparisons, so that every machine decides alike.
inline Spread block_spread(const float* x, std::int64_t n) {
  const float amax = __builtin_bit_cast(float, max_magnitude(x, n));
  if (amax == 0.0f) return Spread::kNarrow;
  if (!(amax >= kSmallestMax) || amax > 0x1.fffffep127f) return Spread::kExtreme;
  const F32 wide = splat(amax * 0x1p-6f), extreme = splat(amax * 0x1p-12f), zero = splat(0.0f);
  I32 above_wide = splat(0), above_extreme = splat(0), nonzero = splat(0);
  for (std::int64_t i = 0; i < n; i += F32::kWidth) {
    const F32 m = abs(n - i >= F32::kWidth ? load(x + i) : load_first(x + i, static_cast<int>(n - i)));
    above_wide = increment(above_wide, m > wide);
    above_extreme = increment(above_extreme, m > extreme);
    nonzero = increment(nonzero, m > zero);
  }
  const std::int32_t all = sum_lanes(nonzero);
  if (stands_out(sum_lanes(above_extreme), all)) return Spread::kExtreme;
  return stands_out(sum_lanes(above_wide), all) ? Spread::kWide : Spread::kNarrow;
}

Spread activation_spread(const float* row, BlockRun run) {
  Spread most = Spread::kNarrow;
  for (std::int64_t first = 0; first < run.n && most != Spread::kExtreme; first += run.block) {
    const Spread spread = block_spread(row + first, run.n - first < run.block ? run.n - first : run.block);
    if (spread > most) most = spread;
  }
  return most;
}

template <int kPlanes, int kPlane = 0>
[[gnu::always_inline]] inline void store_digits(I32 biased, std::int8_t* to, std::int64_t stride,
                                                I32 (&sums)[kPlanes]) {
  if constexpr (kPlane < kPlanes) {
    I32 digit = biased;
    if constexpr (kPlane > 0) digit = shift_right<8 * kPlane>(biased);
    store_u8(reinterpret_cast<std::uint8_t*>(to + kPlane * stride), digit - splat(128));
    sums[kPlane] = sums[kPlane] + (digit & splat(255));
    store_digits<kPlanes, kPlane + 1>(biased, to, stride, sums);
  }
}

/// One block: digits [kPlanes][stride], zeros up to a multiple of 16 columns, its step and sums.
template <int kPlanes>
void quantize_block(const float* x, std::int64_t n, float unit, std::int64_t stride, std::int8_t* digits,
                    ActivationBlock& out) {
  constexpr float kLimit = kPlanes == 1 ? 127.0f : kPlanes == 2 ? 127.0f * 256.0f : 127.0f * 65536.0f;
  constexpr std::int32_t kBias = kPlanes == 1 ? 0x80 : kPlanes == 2 ? 0x8080 : 0x808080;
  const float amax = __builtin_bit_cast(float, max_magnitude(x, n));
  const F32 factor = splat(amax == 0.0f ? 0.0f : kLimit / amax), low = splat(-kLimit), high = splat(kLimit);
  I32 sums[kPlanes];
  for (I32& sum : sums) sum = splat(0);
  const std::int64_t end = (n + 15) / 16 * 16;
  for (std::int64_t i = 0; i < end; i += F32::kWidth) {
    const std::int64_t rest = n - i;
    const F32 value = rest >= F32::kWidth ? load(x + i) : load_first(x + i, rest < 0 ? 0 : static_cast<int>(rest));
    store_digits<kPlanes>(round_wide(clamp(value * factor, low, high)) + splat(kBias), digits + i, stride, sums);
  }
  out.step = amax / kLimit / unit;
  for (int p = 0; p < 3; ++p) {
    out.sums[p] = p < kPlanes ? sum_lanes(sums[p < kPlanes ? p : 0]) - 128 * static_cast<std::int32_t>(end) : 0;
  }
}

template <int kPlanes>
void quantize_rows(const PackedLinear& a, const Planes& planes, const float* x, std::int64_t lo, std::int64_t hi) {
  const float unit = planes.codebook ? kCodebookUnit : 1.0f;
  const int offset = planes.codebook ? 128 : a.codes.offset;  // the high bytes of a codebook are stored + 128
  for (std::int64_t t = lo; t < hi; ++t) {
    for (std::int64_t block = 0; block < a.blocks; ++block) {
      const std::int64_t first = block * a.block, at = block * a.m + t;
      quantize_block<kPlanes>(x + a.tokens[t] * a.k + first, a.k - first < a.block ? a.k - first : a.block, unit,
                              planes.stride, planes.digits + at * kPlanes * planes.stride, planes.rows[at]);
      for (int p = 0; p < kPlanes; ++p) planes.starts[at * kPlanes + p] = -offset * planes.rows[at].sums[p];
    }
  }
}

void quantize_activations(const PackedLinear& a, const Planes& planes, const float* x, std::int64_t lo,
                          std::int64_t hi) {
  if (planes.planes == 1) return quantize_rows<1>(a, planes, x, lo, hi);
  if (planes.planes == 2) return quantize_rows<2>(a, planes, x, lo, hi);
  quantize_rows<3>(a, planes, x, lo, hi);
}
