// Double quantisation: the map is what its construction says, codes are the nearest, every level decodes to one value.
#include <algorithm>
#include <cstring>

#include "catch.h"
#include "fairopt/double_quantize.h"
#include "kernels/formats.h"
#include "levels.h"
#include "matrices.h"

using namespace fairopt;

namespace {

constexpr const float* kMap = formats::kDynamicMap.values;

struct Nested {
  std::vector<std::uint8_t> codes;
  std::vector<float> scales;
  float offset = -1.0f;
};

Nested nest(const std::vector<float>& scales) {
  const auto n = static_cast<std::int64_t>(scales.size());
  Nested out{std::vector<std::uint8_t>(scales.size(), 0xcc),
             std::vector<float>(static_cast<std::size_t>(nested_blocks(n)), -1.0f)};
  double_quantize(scales.data(), n, {out.codes.data(), out.scales.data(), &out.offset});
  return out;
}

/// The plain twin: every value of the map is tried, the first of the nearest wins.
int nearest_of_all(float x) {
  int best = 0;
  for (int i = 1; i < 256; ++i) {
    if (std::fabs(x - kMap[i]) < std::fabs(x - kMap[best])) best = i;
  }
  return best;
}

std::vector<float> positive(std::int64_t n, std::uint64_t seed) {
  std::vector<float> scales = weights(n, seed);
  for (float& scale : scales) scale = std::fabs(scale);
  return scales;
}

}  // namespace

TEST_CASE("dynamic map: 256 sorted values by its construction", "[double_quantize]") {
  REQUIRE(std::is_sorted(kMap, kMap + 256));
  REQUIRE(std::fabs(kMap[0] + 0.99296875) <= 0x1p-23);  // rounded twice in float32
  REQUIRE(kMap[formats::kDynamicZero] == 0.0f);
  REQUIRE(kMap[255] == 1.0f);
  // Rounded in float32: the ends of a part (2^-24 relative), their mean and the power of ten: four half units.
  REQUIRE(std::fabs(kMap[formats::kDynamicZero + 1] - 5.5e-7) <= 4 * 0x1p-24 * 5.5e-7);
  int at = formats::kDynamicZero + 1;
  for (int i = 0; i < 7; ++i) {
    const int parts = 1 << i;
    for (int part = 0; part < parts; ++part, ++at) {
      const double value = (0.1 + 0.9 * (part + 0.5) / parts) * std::pow(10.0, i - 6);
      REQUIRE(std::fabs(kMap[at] - value) <= 8 * 0x1p-24 * std::pow(10.0, i - 6));
      REQUIRE(kMap[2 * formats::kDynamicZero - at] == -kMap[at]);
    }
  }
  REQUIRE(at == 255);
}

TEST_CASE("double_quantize: offset is the mean, nested scales the largest distances, codes the nearest",
          "[double_quantize]") {
  for (const std::int64_t n : {1, 2, 255, 256, 257, 1000, 4096}) {
    const std::vector<float> scales = positive(n, static_cast<std::uint64_t>(n));
    const Nested nested = nest(scales);
    double sum = 0.0;
    for (const float scale : scales) sum += scale;
    REQUIRE(nested.offset == static_cast<float>(sum / static_cast<double>(n)));
    for (std::size_t i = 0; i < scales.size(); ++i) {
      const std::size_t first = i / 256 * 256, end = std::min(first + 256, scales.size());
      float most = 0.0f;
      for (std::size_t j = first; j < end; ++j) most = std::max(most, std::fabs(scales[j] - nested.offset));
      REQUIRE(nested.scales[i / 256] == most);
      const int expected = most == 0.0f ? formats::kDynamicZero : nearest_of_all((scales[i] - nested.offset) / most);
      REQUIRE(nested.codes[i] == expected);
    }
  }
}

TEST_CASE("double_quantize: the code of every value of the map is its own, a tie goes down", "[double_quantize]") {
  std::vector<float> values(kMap, kMap + 256);
  values[0] = -1.0f;   // the mean is 0: 1 has its negative now,
  values[254] = 0.0f;  // and the former one of this value is gone
  const Nested nested = nest(values);
  REQUIRE(nested.offset == 0.0f);
  REQUIRE(nested.scales[0] == 1.0f);
  for (std::size_t i = 0; i < 256; ++i) REQUIRE(nested.codes[i] == (i == 254 ? formats::kDynamicZero : i));
}

TEST_CASE("double_quantize: scales that are all the same come back as they are", "[double_quantize]") {
  const std::vector<float> scales(300, 0.375f);
  const Nested nested = nest(scales);
  std::vector<float> back(300);
  double_dequantize({nested.codes.data(), nested.scales.data(), &nested.offset}, 300, back.data());
  REQUIRE(back == scales);
  REQUIRE(std::all_of(nested.codes.begin(), nested.codes.end(), [](int c) { return c == formats::kDynamicZero; }));
  REQUIRE(nest({}).offset == 0.0f);
}

TEST_CASE("double_dequantize: every level equals the formula bit for bit", "[double_quantize]") {
  for (const std::int64_t n : {0, 1, 3, 7, 15, 16, 17, 255, 256}) {
    std::vector<std::uint8_t> codes(static_cast<std::size_t>(n));
    for (std::size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<std::uint8_t>(255 - 37 * i);
    const float scale = 0.0123f, offset = 0.456f;
    for (const kernels::KernelTable* level : runnable_levels()) {
      std::vector<float> got(codes.size(), -7.0f);
      level->double_dequantize(codes.data(), n, scale, offset, got.data());
      for (std::size_t i = 0; i < got.size(); ++i) {
        const float product = kMap[codes[i]] * scale;
        CAPTURE(level->name, i);
        REQUIRE(got[i] == product + offset);
      }
    }
  }
}

TEST_CASE("double_quantize: bad arguments are refused by name", "[double_quantize]") {
  using Catch::Matchers::ContainsSubstring;
  float scale = 1.0f;
  REQUIRE_THROWS_WITH(double_quantize(&scale, -1, {}), ContainsSubstring("double_quantize: n must be non-negative"));
  REQUIRE_THROWS_WITH(double_quantize(&scale, 1, {nullptr, &scale, &scale}), ContainsSubstring("must not be null"));
  REQUIRE_THROWS_WITH(double_dequantize({}, 1, &scale), ContainsSubstring("must not be null"));
}
