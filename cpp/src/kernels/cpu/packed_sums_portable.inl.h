// Sums of digit planes in portable C++; packed_lines.inl.h says what the three functions do.

constexpr bool kDirectCodebook = false;

template <int kLines>
void byte_sums(const std::uint8_t* bytes, std::int64_t quads, ByteKind kind, const DigitLines& lines,
               std::int32_t* sums) {
  const int flip = kind == ByteKind::kFlipped ? 0x80 : 0;
  for (int line = 0; line < kLines; ++line, sums += kTileRows) {
    const std::int8_t* digits = lines.digits + line * lines.stride;
    for (std::int64_t r = 0; r < kTileRows; ++r) {
      std::int32_t sum = lines.start == nullptr ? sums[r] : lines.start[line];
      for (std::int64_t quad = 0; quad < quads; ++quad) {
        for (int i = 0; i < 4; ++i) {
          sum += (bytes[(quad * kTileRows + r) * 4 + i] ^ flip) * digits[quad * 4 + i];
        }
      }
      sums[r] = sum;
    }
  }
}

template <int kLines>
void nibble_sums(const std::uint8_t* codes, std::int64_t octets, const DigitLines& lines, std::int32_t* sums) {
  constexpr std::int64_t kQuad = kTileRows * 4, kOctets = 8;  // taken apart at a time
  std::uint8_t bytes[kOctets * 2 * kQuad];
  DigitLines part = lines;
  for (std::int64_t first = 0; first < octets; first += kOctets, part.digits += kOctets * 8, part.start = nullptr) {
    const std::int64_t count = octets - first < kOctets ? octets - first : kOctets;
    for (std::int64_t octet = 0; octet < count; ++octet) {
      for (std::int64_t i = 0; i < kQuad; ++i) {
        const std::uint8_t both = codes[(first + octet) * kQuad + i];
        bytes[2 * octet * kQuad + i] = both & 15;
        bytes[(2 * octet + 1) * kQuad + i] = both >> 4;
      }
    }
    byte_sums<kLines>(bytes, 2 * count, ByteKind::kUnsigned, part, sums);
  }
}
