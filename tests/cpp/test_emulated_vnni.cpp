// The loops of the VNNI level with the instruction emulated, against plain sums: on every machine with AVX-512.
#if defined(FAIROPT_HAVE_AVX512)
#include <algorithm>
#include <random>
#include <vector>

#include "catch.h"
#include "emulated_vnni.h"
#include "fairopt/cpu_capability.h"

namespace {

constexpr std::int64_t kRows = 64, kQuads = 10, kStride = 48;

std::vector<std::uint8_t> random_bytes(std::size_t n, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<std::uint8_t> bytes(n);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random());
  return bytes;
}

/// sums [lines][kRows], value(row, column) times the digit.
template <class Value>
std::vector<std::int32_t> plain_sums(int lines, const std::int8_t* digits, const std::int32_t* start,
                                     const Value& value) {
  std::vector<std::int32_t> sums;
  for (int line = 0; line < lines; ++line) {
    for (std::int64_t row = 0; row < kRows; ++row) {
      sums.push_back(start[line]);
      for (std::int64_t k = 0; k < kQuads * 4; ++k) sums.back() += value(row, k) * digits[line * kStride + k];
    }
  }
  return sums;
}

}  // namespace

TEST_CASE("packed_linear: the loops of the VNNI level, emulated", "[emulated_vnni]") {
  const std::vector<std::string> levels = fairopt::cpu_capabilities();
  if (std::find(levels.begin(), levels.end(), "avx512") == levels.end()) {
    WARN("not run: needs AVX-512");
    return;
  }
  // The stream is prefetched, never read, beyond its end.
  const std::vector<std::uint8_t> bytes = random_bytes(kQuads * kRows * 4, 1), tables = random_bytes(32, 2);
  const std::vector<std::uint8_t> digit_bytes = random_bytes(6 * kStride, 3);
  const auto* digits = reinterpret_cast<const std::int8_t*>(digit_bytes.data());
  const std::int32_t start[6] = {0, -1, 7, 1 << 20, -5, 3};
  const auto byte = [&](std::int64_t row, std::int64_t k) {
    return bytes[static_cast<std::size_t>((k / 4 * kRows + row) * 4 + k % 4)];
  };
  const auto code = [&](std::int64_t row, std::int64_t k) {
    const std::uint8_t both = bytes[static_cast<std::size_t>((k / 8 * kRows + row) * 4 + k % 4)];
    return k % 8 < 4 ? both & 15 : both >> 4;
  };
  for (int lines = 1; lines <= 6; ++lines) {
    std::vector<std::int32_t> sums(static_cast<std::size_t>(lines * kRows));
    CAPTURE(lines);
    emulated_vnni::nibble_sums(lines, bytes.data(), kQuads / 2, digits, kStride, start, sums.data());
    REQUIRE(sums == plain_sums(lines, digits, start, code));
    for (const int flip : {0, 0x80}) {
      emulated_vnni::byte_sums(lines, flip != 0, bytes.data(), kQuads, digits, kStride, start, sums.data());
      const auto flipped = [&](std::int64_t row, std::int64_t k) { return byte(row, k) ^ flip; };
      REQUIRE(sums == plain_sums(lines, digits, start, flipped));
    }
  }
  std::vector<std::int32_t> high(2 * kRows), low(2 * kRows);
  const std::int32_t zeros[2] = {};
  emulated_vnni::codebook_sums(bytes.data(), kQuads / 2, tables.data(), tables.data() + 16, digits, kStride, start,
                               high.data(), low.data());
  REQUIRE(high == plain_sums(2, digits, start, [&](auto row, auto k) { return tables[std::size_t(code(row, k))]; }));
  REQUIRE(low ==
          plain_sums(2, digits, zeros, [&](auto row, auto k) { return tables[16 + std::size_t(code(row, k))]; }));
}
#endif
