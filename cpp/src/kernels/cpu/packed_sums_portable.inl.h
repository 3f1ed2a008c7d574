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
  for (int line = 0; line < kLines; ++line, sums += kTileRows) {
    const std::int8_t* digits = lines.digits + line * lines.stride;
    for (std::int64_t r = 0; r < kTileRows; ++r) {
      std::int32_t sum = lines.start == nullptr ? sums[r] : lines.start[line];
      for (std::int64_t octet = 0; octet < octets; ++octet) {
        for (int i = 0; i < 4; ++i) {
          const std::uint8_t both = codes[(octet * kTileRows + r) * 4 + i];
          const std::int8_t* d = digits + octet * 8 + i;
          sum += (both & 15) * d[0] + (both >> 4) * d[4];
        }
      }
      sums[r] = sum;
    }
  }
}
