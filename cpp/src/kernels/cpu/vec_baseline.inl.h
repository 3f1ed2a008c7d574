// Vector layer of the baseline level: four lanes in the compiler's portable vector types (SSE2, NEON, anything).
// Included inside an anonymous namespace; the three vec_*.inl.h files define the same names. See vec.inl.h.

typedef float f32x4 __attribute__((vector_size(16)));
typedef std::int32_t i32x4 __attribute__((vector_size(16)));
typedef std::uint32_t u32x4 __attribute__((vector_size(16)));

struct F32 {
  static constexpr int kWidth = 4;
  f32x4 v;
};
struct I32 {
  i32x4 v;
};
struct Mask {  // all bits of a lane, or none
  i32x4 v;
};

inline I32 as_int(F32 a) { return {reinterpret_cast<i32x4>(a.v)}; }
inline F32 as_float(I32 a) { return {reinterpret_cast<f32x4>(a.v)}; }

inline F32 splat(float a) { return {f32x4{a, a, a, a}}; }
inline I32 splat(std::int32_t a) { return {i32x4{a, a, a, a}}; }
inline I32 lane_indices() { return {i32x4{0, 1, 2, 3}}; }

inline F32 load(const float* p) { return {f32x4{p[0], p[1], p[2], p[3]}}; }
inline void store(float* p, F32 a) {
  for (int i = 0; i < 4; ++i) p[i] = a.v[i];
}

inline F32 operator+(F32 a, F32 b) { return {a.v + b.v}; }
inline F32 operator-(F32 a, F32 b) { return {a.v - b.v}; }
inline F32 operator*(F32 a, F32 b) { return {a.v * b.v}; }
inline F32 operator/(F32 a, F32 b) { return {a.v / b.v}; }
inline I32 operator+(I32 a, I32 b) { return {a.v + b.v}; }
inline I32 operator-(I32 a, I32 b) { return {a.v - b.v}; }
inline I32 operator&(I32 a, I32 b) { return {a.v & b.v}; }
inline I32 operator|(I32 a, I32 b) { return {a.v | b.v}; }
inline I32 operator^(I32 a, I32 b) { return {a.v ^ b.v}; }
template <int kBits>
inline I32 shift_left(I32 a) {
  return {reinterpret_cast<i32x4>(reinterpret_cast<u32x4>(a.v) << kBits)};
}
template <int kBits>
inline I32 shift_right(I32 a) {  // logical: zeros come in
  return {reinterpret_cast<i32x4>(reinterpret_cast<u32x4>(a.v) >> kBits)};
}
template <int kBits>
inline I32 shift_right_signed(I32 a) {  // copies of the sign come in
  return {a.v >> kBits};
}

inline Mask operator>(F32 a, F32 b) { return {a.v > b.v}; }
inline Mask operator>(I32 a, I32 b) { return {a.v > b.v}; }
inline Mask operator==(I32 a, I32 b) { return {a.v == b.v}; }
inline Mask operator&(Mask a, Mask b) { return {a.v & b.v}; }
inline I32 select(Mask m, I32 yes, I32 no) { return {(m.v & yes.v) | (~m.v & no.v)}; }
inline F32 select(Mask m, F32 yes, F32 no) { return as_float(select(m, as_int(yes), as_int(no))); }
inline I32 increment(I32 a, Mask where) { return {a.v - where.v}; }
inline unsigned lane_bits(Mask m) {
  const i32x4 own = m.v & i32x4{1, 2, 4, 8};
  return static_cast<unsigned>(own[0] | own[1] | own[2] | own[3]);
}
inline void store_lane_bits(std::uint64_t* words, int place, Mask m) {  // the bits of vector `place`, in order
  const std::uint64_t bits = std::uint64_t{lane_bits(m)} << place % 16 * 4;
  words[place / 16] = place % 16 == 0 ? bits : words[place / 16] | bits;
}
inline int count(Mask m) { return -(m.v[0] + m.v[1] + m.v[2] + m.v[3]); }

inline int store_where(std::int32_t* p, Mask m, I32 a) {  // packs the chosen lanes; may write all lanes' room
  int n = 0;
  for (int i = 0; i < 4; ++i) {
    p[n] = a.v[i];
    n -= m.v[i];
  }
  return n;
}

inline void store_bits(std::uint8_t* p, std::uint64_t bits) {  // 64 bytes of 0 or 1
  for (int i = 0; i < 64; ++i) p[i] = bits >> i & 1;
}

inline void stream_64_bytes(const std::uint8_t* from, std::uint8_t* aligned) { __builtin_memcpy(aligned, from, 64); }
inline void fence_streams() {}

inline F32 max(F32 a, F32 b) { return select(a > b, a, b); }
inline F32 min(F32 a, F32 b) { return select(b > a, a, b); }
inline I32 max(I32 a, I32 b) { return select(a > b, a, b); }
inline F32 fma(F32 a, F32 b, F32 c) { return {a.v * b.v + c.v}; }  // two roundings: SSE2 has no fused form
inline float sum(F32 a) { return (a.v[0] + a.v[2]) + (a.v[1] + a.v[3]); }
inline float reduce_max(F32 a) {
  float best = a.v[0];
  for (int i = 1; i < 4; ++i) best = a.v[i] > best ? a.v[i] : best;
  return best;
}

// Half to even for |a| < 2^22: above 2^23 the last bit of a float is worth 1.
inline I32 round_to_int(F32 a) { return as_int(a + splat(12582912.0f)) - splat(0x4b400000); }
inline F32 to_float(I32 a) { return {__builtin_convertvector(a.v, f32x4)}; }

// Tables looked up by lane; the high bits of the index must be zero.
struct Table8 {
  const float* v;
};
struct IntTable8 {
  const std::int32_t* v;
};
struct Table16 {
  const float* v;
};
inline Table8 load_table8(const float* p) { return {p}; }
inline IntTable8 load_table8(const std::int32_t* p) { return {p}; }
inline Table16 load_table16(const float* p) { return {p}; }
inline F32 lookup(Table8 t, I32 i) { return {f32x4{t.v[i.v[0]], t.v[i.v[1]], t.v[i.v[2]], t.v[i.v[3]]}}; }
inline I32 lookup(IntTable8 t, I32 i) { return {i32x4{t.v[i.v[0]], t.v[i.v[1]], t.v[i.v[2]], t.v[i.v[3]]}}; }
inline F32 lookup(Table16 t, I32 i) { return {f32x4{t.v[i.v[0]], t.v[i.v[1]], t.v[i.v[2]], t.v[i.v[3]]}}; }
inline F32 gather(const float* t, I32 i) { return {f32x4{t[i.v[0]], t[i.v[1]], t[i.v[2]], t[i.v[3]]}}; }
inline I32 permute(I32 a, I32 i) { return {i32x4{a.v[i.v[0]], a.v[i.v[1]], a.v[i.v[2]], a.v[i.v[3]]}}; }

inline I32 load_u8(const std::uint8_t* p) { return {i32x4{p[0], p[1], p[2], p[3]}}; }
inline I32 load_s8(const std::int8_t* p) { return {i32x4{p[0], p[1], p[2], p[3]}}; }
inline I32 load_u16(const std::uint16_t* p) { return {i32x4{p[0], p[1], p[2], p[3]}}; }
inline void store_u8(std::uint8_t* p, I32 a) {  // the low byte of each lane
  for (int i = 0; i < 4; ++i) p[i] = static_cast<std::uint8_t>(a.v[i]);
}
inline void store_u16(std::uint16_t* p, I32 a) {  // the low half of each lane
  for (int i = 0; i < 4; ++i) p[i] = static_cast<std::uint16_t>(a.v[i]);
}

// Four-bit codes, the even lane in the high nibble of its byte.
inline I32 load_nibbles(const std::uint8_t* p) { return {i32x4{p[0] >> 4, p[0] & 15, p[1] >> 4, p[1] & 15}}; }
inline void store_nibbles(std::uint8_t* p, I32 a) {
  p[0] = static_cast<std::uint8_t>(a.v[0] << 4 | a.v[1]);
  p[1] = static_cast<std::uint8_t>(a.v[2] << 4 | a.v[3]);
}

// Codes of kBits < 8 bits, first a multiple of 4.
template <int kBits>
inline I32 load_bits(const std::uint8_t* row, std::int64_t first) {
  I32 codes{};
  for (int lane = 0; lane < 4; ++lane) {
    const std::int64_t bit = (first + lane) * kBits;
    const std::uint8_t* p = row + bit / 8;
    const int after = 16 - kBits - static_cast<int>(bit % 8);  // bits of a two-byte window below the code
    const int window = p[0] << 8 | (after < 8 ? p[1] : 0);     // a code that ends in its first byte reads no other
    codes.v[lane] = window >> after & ((1 << kBits) - 1);
  }
  return codes;
}

// fp16 without F16C. Widening rescales the exponent by a product with 2^112, which is exact for subnormals too.
inline F32 load_f16(const std::uint16_t* p) {
  const I32 half = load_u16(p);
  const I32 magnitude = shift_left<13>(half & splat(0x7fff));
  const I32 finite = as_int(as_float(magnitude) * splat(0x1p112f));
  const I32 special = magnitude + splat(0x70000000);  // infinity and NaN: exponent 31 becomes 255
  const I32 value = select(magnitude > splat(0x0f7fffff), special, finite);
  return as_float(value | shift_left<16>(half & splat(0x8000)));
}
inline void store_f16(std::uint16_t* p, F32 a) {
  const I32 bits = as_int(a), magnitude = bits & splat(0x7fffffff);
  const I32 odd = shift_right<13>(magnitude) & splat(1);
  const I32 normal = shift_right<13>(magnitude + splat(-0x38000000 + 0xfff) + odd);
  const I32 subnormal = as_int(as_float(magnitude) + splat(0.5f)) - splat(0x3f000000);  // 0.5's last bit is worth 2^-24
  I32 half = select(magnitude > splat(0x387fffff), normal, subnormal);
  half = select(magnitude > splat(0x477fefff), splat(0x7c00), half);  // from 65520 up: infinity
  half = select(magnitude > splat(0x7f800000), shift_right<13>(magnitude & splat(0x7fffff)) | splat(0x7e00), half);
  store_u16(p, half | (shift_right<16>(bits) & splat(0x8000)));
}
