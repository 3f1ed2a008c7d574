// Codes of any number of bits from and to their bit string (formats.h has the layout). load_bits<kBits>, which reads
// what is neither a nibble nor a byte, is the level's own.

constexpr int kVectorsPerGroup = formats::kGroup / F32::kWidth;

/// Codes first .. first + kWidth - 1 of a row; first is a multiple of kWidth. Reads no byte after the last of them.
template <int kBits>
inline I32 load_codes(const std::uint8_t* row, std::int64_t first) {
  if constexpr (kBits == 8) {
    return load_u8(row + first);
  } else if constexpr (kBits == 4) {
    return load_nibbles(row + first / 2);
  } else {
    return load_bits<kBits>(row, first);
  }
}

/// The same where the row ends within the vector, after n < kWidth codes; the other lanes are 0.
template <int kBits>
inline I32 load_codes_first(const std::uint8_t* row, std::int64_t first, int n) {
  const std::int64_t group = first / formats::kGroup * formats::kGroup, start = group * kBits / 8;
  const std::int64_t end = ((first + n) * kBits + 7) / 8;
  std::uint8_t bytes[2 * kBits] = {};
  for (std::int64_t i = start; i < end; ++i) bytes[i - start] = row[i];
  return load_codes<kBits>(bytes, first - group);
}

/// Eight bytes whose low kBits are codes -> the kBits bytes of their bit string, in the high bytes of the result. Both
/// are read from the most significant byte on. Each step joins two neighbouring fields.
template <int kBits>
inline std::uint64_t join_codes(std::uint64_t codes) {
  constexpr std::uint64_t kBytes = 0x00ff00ff00ff00ff, kPairs = 0x0000ffff0000ffff, kFours = 0x00000000ffffffff;
  codes = (codes & kBytes) | (codes >> (8 - kBits) & kBytes << kBits);
  codes = (codes & kPairs) | (codes >> (16 - 2 * kBits) & kPairs << 2 * kBits);
  codes = (codes & kFours) | (codes >> (32 - 4 * kBits) & kFours << 4 * kBits);
  return codes << (64 - 8 * kBits);
}

/// One group of codes to its 2 kBits bytes.
template <int kBits>
inline void store_codes(std::uint8_t* p, const I32 (&codes)[kVectorsPerGroup]) {
  if constexpr (kBits == 4) {
    for (int v = 0; v < kVectorsPerGroup; ++v) store_nibbles(p + v * F32::kWidth / 2, codes[v]);
  } else if constexpr (kBits == 8) {
    for (int v = 0; v < kVectorsPerGroup; ++v) store_u8(p + v * F32::kWidth, codes[v]);
  } else {
    std::uint8_t bytes[formats::kGroup];
    for (int v = 0; v < kVectorsPerGroup; ++v) store_u8(bytes + v * F32::kWidth, codes[v]);
    for (int half = 0; half < 2; ++half) {
      std::uint64_t eight;
      __builtin_memcpy(&eight, bytes + 8 * half, sizeof eight);
      const std::uint64_t joined = __builtin_bswap64(join_codes<kBits>(__builtin_bswap64(eight)));
      __builtin_memcpy(p + kBits * half, &joined, kBits);
    }
  }
}
