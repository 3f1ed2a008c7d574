// Sums of digit planes with AVX-512 VNNI: vpdpbusd multiplies four unsigned bytes of W by four digits in every lane.

/// acc += bytes * digits. GCC 12 keeps the accumulators of the intrinsic on the stack; the register constraint holds.
[[gnu::always_inline]] inline void add_dot(__m512i& acc, __m512i bytes, __m512i digits) {
#if defined(__AVX512VNNI__)
  asm("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(bytes), "v"(digits));
#else  // the tests run these kernels on machines without the instruction
  const __m512i low = _mm512_set1_epi16(0xff);
  const __m512i even =
      _mm512_madd_epi16(_mm512_and_si512(bytes, low), _mm512_srai_epi16(_mm512_slli_epi16(digits, 8), 8));
  const __m512i odd = _mm512_madd_epi16(_mm512_srli_epi16(bytes, 8), _mm512_srai_epi16(digits, 8));
  acc = _mm512_add_epi32(acc, _mm512_add_epi32(even, odd));
#endif
}

constexpr bool kDirectCodebook = true;
constexpr int kVectors = 4;  // of 16 rows: a tile

inline __m512i splat_dword(const std::int8_t* p) {
  std::int32_t dword;
  __builtin_memcpy(&dword, p, 4);
  return _mm512_set1_epi32(dword);
}

template <int kLines>
struct LineSums {
  __m512i acc[kLines][kVectors];

  [[gnu::always_inline]] void load(const DigitLines& lines, const std::int32_t* sums) {
#pragma GCC unroll 6
    for (int line = 0; line < kLines; ++line) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        acc[line][v] = lines.start == nullptr ? _mm512_loadu_si512(sums + line * kTileRows + v * 16)
                                              : _mm512_set1_epi32(lines.start[line]);
      }
    }
  }
  /// Four columns: the digits of each line lie at `digits`.
  [[gnu::always_inline]] void add(const __m512i (&bytes)[kVectors], const std::int8_t* digits, std::int64_t stride) {
#pragma GCC unroll 6
    for (int line = 0; line < kLines; ++line) {
      const __m512i d = splat_dword(digits + line * stride);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) add_dot(acc[line][v], bytes[v], d);
    }
  }
  [[gnu::always_inline]] void store(std::int32_t* sums) const {
#pragma GCC unroll 6
    for (int line = 0; line < kLines; ++line) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) _mm512_storeu_si512(sums + line * kTileRows + v * 16, acc[line][v]);
    }
  }
};

/// Out of line: GCC 12 keeps the sums of two lines on the stack where it inlines this.
template <int kLines, ByteKind kKind>
[[gnu::noinline]] void byte_sums(const std::uint8_t* bytes, std::int64_t quads, const DigitLines& lines,
                                 std::int32_t* sums) {
  LineSums<kLines> all;
  all.load(lines, sums);
  const std::int8_t* digits = lines.digits;
  for (std::int64_t quad = 0; quad < quads; ++quad, bytes += 4 * kTileRows, digits += 4) {
    if constexpr (kKind != ByteKind::kPanel) prefetch_rows(bytes, 4 * kTileRows);
    __m512i b[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      b[v] = _mm512_loadu_si512(bytes + 64 * v);
      if constexpr (kKind == ByteKind::kFlipped)
        b[v] = _mm512_xor_si512(b[v], _mm512_set1_epi8(static_cast<char>(0x80)));
    }
    all.add(b, digits, lines.stride);
  }
  all.store(sums);
}
template <int kLines>
void byte_sums(const std::uint8_t* bytes, std::int64_t quads, ByteKind kind, const DigitLines& lines,
               std::int32_t* sums) {
  if (kind == ByteKind::kPanel) return byte_sums<kLines, ByteKind::kPanel>(bytes, quads, lines, sums);
  if (kind == ByteKind::kFlipped) return byte_sums<kLines, ByteKind::kFlipped>(bytes, quads, lines, sums);
  byte_sums<kLines, ByteKind::kUnsigned>(bytes, quads, lines, sums);
}

template <int kLines>
void nibble_sums(const std::uint8_t* codes, std::int64_t octets, const DigitLines& lines, std::int32_t* sums) {
  const __m512i mask = _mm512_set1_epi8(15);
  LineSums<kLines> all;
  all.load(lines, sums);
  const std::int8_t* digits = lines.digits;
  for (std::int64_t octet = 0; octet < octets; ++octet, codes += 4 * kTileRows, digits += 8) {
    prefetch_rows(codes, 4 * kTileRows);
    __m512i b[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) b[v] = _mm512_and_si512(_mm512_loadu_si512(codes + 64 * v), mask);
    all.add(b, digits, lines.stride);
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      b[v] = _mm512_and_si512(_mm512_srli_epi16(_mm512_loadu_si512(codes + 64 * v), 4), mask);
    }
    all.add(b, digits + 4, lines.stride);
  }
  all.store(sums);
}

template <int kLines>
void codebook_sums(const std::uint8_t* codes, std::int64_t octets, const std::uint8_t* high, const std::uint8_t* low,
                   const DigitLines& lines, std::int32_t* high_sums, std::int32_t* low_sums) {
  const auto table = [](const std::uint8_t* p) {
    return _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  };
  static constexpr std::int32_t kNothing[kLines] = {};
  const __m512i mask = _mm512_set1_epi8(15), high_table = table(high), low_table = table(low);
  LineSums<kLines> of_high, of_low;
  of_high.load(lines, high_sums);
  of_low.load({lines.digits, lines.stride, kNothing}, low_sums);
  const std::int8_t* digits = lines.digits;
  for (std::int64_t octet = 0; octet < octets; ++octet, codes += 4 * kTileRows, digits += 8) {
    prefetch_rows(codes, 4 * kTileRows);
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
      __m512i b[kVectors], c[kVectors];
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        const __m512i both = _mm512_loadu_si512(codes + 64 * v);
        const __m512i code = _mm512_and_si512(half == 0 ? both : _mm512_srli_epi16(both, 4), mask);
        b[v] = _mm512_shuffle_epi8(high_table, code);
        c[v] = _mm512_shuffle_epi8(low_table, code);
      }
      of_high.add(b, digits + 4 * half, lines.stride);
      of_low.add(c, digits + 4 * half, lines.stride);
    }
  }
  of_high.store(high_sums);
  of_low.store(low_sums);
}
