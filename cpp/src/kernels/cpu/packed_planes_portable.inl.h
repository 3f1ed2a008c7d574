// Sums of digit planes in portable C++: what a level without kernels of its own runs.

/// sums [kR][kTileRows] (+)= sum over the columns of (byte ^ flip) * digit; bytes [quads][kTileRows][4].
template <int kR>
void byte_sums(const std::uint8_t* bytes, std::int64_t quads, int flip, const std::int8_t* digits, std::int64_t stride,
               bool add, std::int32_t* sums) {
  for (int row = 0; row < kR; ++row, sums += kTileRows) {
    for (std::int64_t r = 0; r < kTileRows; ++r) {
      std::int32_t sum = add ? sums[r] : 0;
      for (std::int64_t quad = 0; quad < quads; ++quad) {
        for (int i = 0; i < 4; ++i) {
          sum += (bytes[(quad * kTileRows + r) * 4 + i] ^ flip) * digits[row * stride + quad * 4 + i];
        }
      }
      sums[r] = sum;
    }
  }
}

/// The same of 4-bit codes [octets][kTileRows] dwords.
template <int kR>
void nibble_sums(const std::uint8_t* codes, std::int64_t octets, const std::int8_t* digits, std::int64_t stride,
                 bool add, std::int32_t* sums) {
  for (int row = 0; row < kR; ++row, sums += kTileRows) {
    for (std::int64_t r = 0; r < kTileRows; ++r) {
      std::int32_t sum = add ? sums[r] : 0;
      for (std::int64_t octet = 0; octet < octets; ++octet) {
        for (int i = 0; i < 4; ++i) {
          const std::uint8_t both = codes[(octet * kTileRows + r) * 4 + i];
          const std::int8_t* d = digits + row * stride + octet * 8 + i;
          sum += (both & 15) * d[0] + (both >> 4) * d[4];
        }
      }
      sums[r] = sum;
    }
  }
}

/// 4-bit codes to a panel of bytes [2 * octets][kTileRows][4]: the codes, or what `table` holds for them.
void unpack_panel(const std::uint8_t* codes, std::int64_t octets, const std::uint8_t* table, std::uint8_t* panel) {
  constexpr std::int64_t kQuad = kTileRows * 4;
  for (std::int64_t octet = 0; octet < octets; ++octet, codes += kQuad, panel += 2 * kQuad) {
    for (std::int64_t i = 0; i < kQuad; ++i) {
      panel[i] = table == nullptr ? codes[i] & 15 : table[codes[i] & 15];
      panel[kQuad + i] = table == nullptr ? codes[i] >> 4 : table[codes[i] >> 4];
    }
  }
}
