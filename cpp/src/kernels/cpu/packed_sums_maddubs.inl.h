// Sums of digit planes without VNNI: vpmaddubsw multiplies unsigned bytes by digits and adds pairs in 16 bits. Of 4-bit
// codes eight such sums fit: 8 * 2 * 15 * 128 = 30720; then they are widened. Bytes go as two nibbles, the high one
// worth 16. Written against the Quads (a quad of columns of kQuadRows rows) and Pairs of the level.

constexpr bool kDirectCodebook = false;

constexpr int kWidenAfter = 8;  // quads of columns

enum class Nibble : std::uint8_t { kLow, kHigh };

template <Nibble kNibble>
inline Quads nibble_of(Quads a) {
  if constexpr (kNibble == Nibble::kLow) return low_nibbles(a);
  return high_nibbles(a);
}

/// kVectors vectors of rows, kLines lines: pair sums of some quads, then into the int32 sums.
template <int kLines, int kVectors>
struct PairSums {
  Pairs acc[kLines][kVectors];

  [[gnu::always_inline]] PairSums() {
#pragma GCC unroll 6
    for (int line = 0; line < kLines; ++line) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) acc[line][v] = no_pairs();
    }
  }
  template <Nibble kNibble, bool kFlip>
  [[gnu::always_inline]] void add(const std::uint8_t* bytes, const std::int8_t* digits, std::int64_t stride) {
    Quads b[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      b[v] = load_quads(bytes + v * kQuadRows * 4);
      b[v] = nibble_of<kNibble>(kFlip ? flip_top(b[v]) : b[v]);
    }
#pragma GCC unroll 6
    for (int line = 0; line < kLines; ++line) {
      const Quads d = splat_quad(digits + line * stride);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) acc[line][v] = add_pairs(acc[line][v], b[v], d);
    }
  }
  template <int kFactor>
  [[gnu::always_inline]] void widen_into(std::int32_t* sums) const {
#pragma GCC unroll 6
    for (int line = 0; line < kLines; ++line) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        std::int32_t* at = sums + line * kTileRows + v * kQuadRows;
        store_int(at, load_int(at) + widen<kFactor>(acc[line][v]));
      }
    }
  }
};

template <int kLines>
void start_sums(const DigitLines& lines, std::int32_t* sums) {
  if (lines.start == nullptr) return;
  for (int line = 0; line < kLines; ++line) {
    for (std::int64_t r = 0; r < kTileRows; ++r) sums[line * kTileRows + r] = lines.start[line];
  }
}

/// How many vectors of rows a pass over the columns takes: the sums of a pass stay in registers.
constexpr int pass_vectors(int lines) { return kPairRegisters / lines < 4 ? 2 : 4; }

template <int kLines, Nibble kNibble, bool kFlip, int kFactor>
void add_bytes(const std::uint8_t* bytes, std::int64_t quads, const DigitLines& lines, std::int32_t* sums) {
  constexpr int kVectors = pass_vectors(kLines);
  constexpr std::int64_t kRows = kVectors * kQuadRows;
  for (std::int64_t quad = 0; quad < quads; quad += kWidenAfter) {
    const std::int64_t end = quads - quad < kWidenAfter ? quads : quad + kWidenAfter;
    for (std::int64_t row = 0; row < kTileRows; row += kRows) {
      PairSums<kLines, kVectors> pairs;
      for (std::int64_t q = quad; q < end; ++q) {
        const std::uint8_t* at = bytes + (q * kTileRows + row) * 4;
        if constexpr (kNibble == Nibble::kLow) prefetch_rows(at, kRows * 4);
        pairs.template add<kNibble, kFlip>(at, lines.digits + q * 4, lines.stride);
      }
      pairs.template widen_into<kFactor>(sums + row);
    }
  }
}

template <int kLines>
void byte_sums(const std::uint8_t* bytes, std::int64_t quads, ByteKind kind, const DigitLines& lines,
               std::int32_t* sums) {
  start_sums<kLines>(lines, sums);
  if (kind != ByteKind::kFlipped) {
    add_bytes<kLines, Nibble::kLow, false, 1>(bytes, quads, lines, sums);
    return add_bytes<kLines, Nibble::kHigh, false, 16>(bytes, quads, lines, sums);
  }
  add_bytes<kLines, Nibble::kLow, true, 1>(bytes, quads, lines, sums);
  add_bytes<kLines, Nibble::kHigh, true, 16>(bytes, quads, lines, sums);
}

template <int kLines>
void nibble_sums(const std::uint8_t* codes, std::int64_t octets, const DigitLines& lines, std::int32_t* sums) {
  constexpr int kVectors = pass_vectors(kLines);
  constexpr std::int64_t kRows = kVectors * kQuadRows;
  start_sums<kLines>(lines, sums);
  for (std::int64_t octet = 0; octet < octets; octet += kWidenAfter / 2) {
    const std::int64_t end = octets - octet < kWidenAfter / 2 ? octets : octet + kWidenAfter / 2;
    for (std::int64_t row = 0; row < kTileRows; row += kRows) {
      PairSums<kLines, kVectors> pairs;
      for (std::int64_t o = octet; o < end; ++o) {
        const std::uint8_t* at = codes + (o * kTileRows + row) * 4;
        prefetch_rows(at, kRows * 4);
        pairs.template add<Nibble::kLow, false>(at, lines.digits + o * 8, lines.stride);
        pairs.template add<Nibble::kHigh, false>(at, lines.digits + o * 8 + 4, lines.stride);
      }
      pairs.template widen_into<1>(sums + row);
    }
  }
}
