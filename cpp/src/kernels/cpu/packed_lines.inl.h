// What the integer modes ask of a level. A *line* is one digit plane of one token; up to kMostLines are multiplied at a
// time with the kTileRows rows of a tile. The packed_sums_*.inl.h files define, each in the instructions of its level,
//
//   byte_sums<kLines>(bytes, quads, flip, lines, sums)   sums[line][row] (+)= sum of (byte ^ flip) * digit over 4 *
//   quads
//                                                        columns; bytes [quads][kTileRows][4], any values
//   nibble_sums<kLines>(codes, octets, lines, sums)      the same of 4-bit codes, [octets][kTileRows] packed dwords
//   unpack_panel(codes, octets, table, panel)            4-bit codes to bytes [2 * octets][kTileRows][4]: what the
//   table
//                                                        of 16 holds for them
//
//   codebook_sums<kLines>(codes, octets, high, low, lines, high_sums, low_sums)   byte_sums of both tables of 16, for a
//                                                        few lines; where kDirectCodebook says that there is one
//
// Sums are exact in int32, so levels agree in every bit.

constexpr int kMostLines = 6;

/// What bytes are: values of the stream, or such whose top bit is to be flipped first, or values that a panel holds.
enum class ByteKind : std::uint8_t { kUnsigned, kFlipped, kPanel };

struct DigitLines {
  const std::int8_t* digits;  ///< of the first line, at the first of the columns
  std::int64_t stride;        ///< to the next line
  const std::int32_t* start;  ///< [lines] what sums start from; null: they go on
};

template <int kLines>
void codebook_sums(const std::uint8_t* codes, std::int64_t octets, const std::uint8_t* high, const std::uint8_t* low,
                   const DigitLines& lines, std::int32_t* high_sums, std::int32_t* low_sums);

// Bytes that a tile's stream is asked for ahead. Straight into the first cache: fetching into the second one early and
// into the first one a little before issues every line twice and read 0.85 as fast.
constexpr std::int64_t kAhead = 8192;

/// For `bytes` of the stream at p.
inline void prefetch_rows(const std::uint8_t* p, std::int64_t bytes) {
  for (std::int64_t line = 0; line < bytes; line += 64) __builtin_prefetch(p + kAhead + line, 0, 3);
}
