// Zeros where a mask says so: every ISA level and the door.
#include "catch.h"
#include "fairopt/prune.h"
#include "levels.h"

using namespace fairopt;

TEST_CASE("apply_mask: every level copies the bits that are kept", "[apply_mask]") {
  const auto check = [](auto zero, int place, std::int64_t n) {
    using Bits = decltype(zero);
    std::vector<Bits> values, expected;
    std::vector<std::uint8_t> mask;
    for (std::int64_t i = 0; i < n; ++i) {
      values.push_back(static_cast<Bits>(~zero - static_cast<Bits>(i)));  // NaN among them
      mask.push_back(static_cast<std::uint8_t>(i % 3 == 1 ? 0 : i % 5 + 1));
      expected.push_back(mask.back() == 0 ? zero : values.back());
    }
    std::vector<Bits> out(values.size());
    for (const kernels::KernelTable* level : runnable_levels()) {
      CAPTURE(level->name, n, sizeof zero);
      std::fill(out.begin(), out.end(), Bits{1});
      level->apply_mask[place](values.data(), n, mask.data(), out.data());
      REQUIRE(out == expected);
    }
    apply_mask(values.data(), sizeof zero, n, mask.data(), values.data());
    REQUIRE(values == expected);
  };
  for (const std::int64_t n : {0, 1, 63, 64, 65, 200000}) {
    check(std::uint16_t{0}, 0, n);
    check(std::uint32_t{0}, 1, n);
    check(std::uint64_t{0}, 2, n);
  }
}

TEST_CASE("apply_mask: bad arguments are refused by name", "[apply_mask]") {
  using Catch::Matchers::Equals;
  float value = 1;
  const std::uint8_t mask = 1;
  REQUIRE_THROWS_WITH(apply_mask(&value, 3, 1, &mask, &value),
                      Equals("apply_mask: value_bytes must be 2, 4 or 8, got 3"));
  REQUIRE_THROWS_WITH(apply_mask(&value, 4, -1, &mask, &value), Equals("apply_mask: n must be at least 0, got -1"));
  REQUIRE_THROWS_WITH(apply_mask(&value, 4, 1, nullptr, &value),
                      Equals("apply_mask: values, mask and out must not be null"));
}
