// Where the codes of a bit string lie: lane i of a vector takes the two bytes at bytes[4 i], first byte highest, and
// shifts them right by shifts[i]. For the levels whose vectors can be shuffled by bytes.
template <int kBits, int kLanes>
struct BitWindows {
  alignas(64) std::uint8_t bytes[4 * kLanes] = {};
  alignas(64) std::int32_t shifts[kLanes] = {};
  constexpr BitWindows() {
    for (int i = 0; i < kLanes; ++i) {
      const int byte = i * kBits / 8;
      bytes[4 * i] = static_cast<std::uint8_t>(byte + 1);  // past the last code: zeros, which are shifted out
      bytes[4 * i + 1] = static_cast<std::uint8_t>(byte);
      bytes[4 * i + 2] = bytes[4 * i + 3] = 0x80;  // no byte
      shifts[i] = 16 - kBits - i * kBits % 8;
    }
  }
};
