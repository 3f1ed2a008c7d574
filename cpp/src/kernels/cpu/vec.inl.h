// The vector layer: a kernel body is written once against it and compiled once a level. An ISA file includes, inside
// an anonymous namespace, one of vec_{baseline,avx2,avx512}.inl.h (same names, 4, 8 or 16 lanes) and then this file,
// which builds the rest from them. A partial form works on the first n < kWidth lanes and touches no other memory.
// -ffp-contract=off and correctly rounded operators make equal bodies give equal bits on every level; fma and sum are
// the exceptions (fused or not, order of the lanes).

inline F32 abs(F32 a) { return as_float(as_int(a) & splat(0x7fffffff)); }
inline F32 clamp(F32 a, F32 low, F32 high) { return min(max(a, low), high); }

inline I32 load_i32(const std::int32_t* p) {
  float lanes[F32::kWidth];
  __builtin_memcpy(lanes, p, sizeof lanes);
  return as_int(load(lanes));
}
inline void store_i32(std::int32_t* p, I32 a) { store_where(p, a == a, a); }
inline std::int64_t sum(I32 a) {
  std::int32_t lanes[F32::kWidth];
  store_where(lanes, a == a, a);
  std::int64_t total = 0;
  for (const std::int32_t lane : lanes) total += lane;
  return total;
}
inline std::int32_t reduce_max(I32 a) {
  std::int32_t lanes[F32::kWidth], best;
  store_where(lanes, a == a, a);
  best = lanes[0];
  for (const std::int32_t lane : lanes) best = lane > best ? lane : best;
  return best;
}

// Asks for what a stream from memory comes to a page later: the CPU's own prefetching stops at the end of a page.
inline void prefetch_stream(const void* p) { __builtin_prefetch(static_cast<const char*>(p) + 4096); }

inline F32 load_bf16(const std::uint16_t* p) { return as_float(shift_left<16>(load_u16(p))); }
inline void store_bf16(std::uint16_t* p, F32 a) {  // half to even
  const I32 bits = as_int(a);
  const I32 rounded = shift_right<16>(bits + splat(0x7fff) + (shift_right<16>(bits) & splat(1)));
  const Mask nan = (bits & splat(0x7fffffff)) > splat(0x7f800000);
  store_u16(p, select(nan, shift_right<16>(bits) | splat(0x40), rounded));
}

inline F32 load_first(const float* p, int n) {  // the other lanes are 0
  float lanes[F32::kWidth] = {};
  for (int i = 0; i < n; ++i) lanes[i] = p[i];
  return load(lanes);
}
inline void store_first(float* p, F32 a, int n) {
  float lanes[F32::kWidth];
  store(lanes, a);
  for (int i = 0; i < n; ++i) p[i] = lanes[i];
}
inline F32 load_first_or(const float* p, int n, float fill) {
  float lanes[F32::kWidth];
  for (int i = 0; i < F32::kWidth; ++i) lanes[i] = i < n ? p[i] : fill;
  return load(lanes);
}
inline void store_u8_first(std::uint8_t* p, I32 a, int n) {
  std::uint8_t lanes[F32::kWidth];
  store_u8(lanes, a);
  for (int i = 0; i < n; ++i) p[i] = lanes[i];
}
