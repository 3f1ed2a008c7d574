// packed_linear, mode `exact`, where x holds values of bf16: pairs of them, multiplied by vdpbf16ps where the CPU has
// it, give the bits of the twin, which multiplies and adds one column at a time. ctest runs the suite once a level.
#include <bit>
#include <cmath>

#include "catch.h"
#include "packed_weights.h"

using namespace packed_weights;
using kernels::Bf16Kernels;

namespace {

float to_bf16(float value) {  // half to even
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return std::bit_cast<float>((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000);
}

std::vector<float> to_bf16(std::vector<float> values) {
  for (float& value : values) value = to_bf16(value);
  return values;
}

std::vector<float> times(std::vector<float> values, float factor) {
  for (float& value : values) value *= factor;
  return values;
}

/// The kernels for pairs, null with a word about it in the output where this level or CPU has none.
const Bf16Kernels* pairs() {
  const Bf16Kernels* kernels = kernels::table().bf16;
  if (kernels == nullptr)
    WARN("no AVX-512 BF16 at level " << cpu_capability() << ": only fused multiply-adds are tested");
  return kernels;
}

bool held(const Bf16Kernels& kernels, const std::vector<float>& row) {
  return kernels.holds_bf16(row.data(), static_cast<std::int64_t>(row.size()));
}

void require_twin_of(const std::vector<float>& x, std::int64_t most, std::int64_t k) {
  constexpr MatmulMode kModes[] = {MatmulMode::kExact};
  for (const Format format : kPackedFormats) {
    for (const std::int64_t block : {32, 80, 128}) {
      for (const std::int64_t n : {70, 200}) {
        std::vector<std::int64_t> counts;
        for (std::int64_t m = 1; m <= most; ++m) counts.push_back(m);
        require_twin(Weight({format, n, k, block}), x, kModes, counts);
      }
    }
  }
}

}  // namespace

TEST_CASE("packed_linear exact of bf16: the twin's bits for one to 20 tokens", "[packed_linear]") {
  const std::int64_t k = 333, most = 20;
  const std::vector<float> x = to_bf16(weights(most * k, 17));
  if (const Bf16Kernels* kernels = pairs()) REQUIRE(held(*kernels, x));
  require_twin_of(x, most, k);
}

TEST_CASE("packed_linear exact of bf16: the twin's bits of tiny, huge and mixed rows", "[packed_linear]") {
  const std::int64_t k = 333, most = 9;
  // 0.02 is the size of the weights: within what pairs serve, across its ends, and far outside.
  for (const float scale : {0x1p-100f, 0x1p-112f, 0x1p-120f, 0x1p100f, 0x1p118f}) {
    CAPTURE(scale);
    std::vector<float> x = to_bf16(times(weights(most * k, 19), scale));
    for (std::int64_t i = 0; i < k; ++i) x[static_cast<std::size_t>(4 * k + i)] = 0.0f;
    require_twin_of(x, most, k);
  }
}

TEST_CASE("packed_linear exact of bf16: rows that pairs do not serve stand among rows that they do",
          "[packed_linear]") {
  const std::int64_t k = 200, n = 130, m = 40;
  std::vector<float> x = to_bf16(weights(m * k, 21));
  for (std::int64_t token = 0; token < m; token += 3) x[static_cast<std::size_t>(token * k + token)] = 0.1f;
  for (const Format format : kPackedFormats) {
    const Weight weight({format, n, k, 64});
    const PackedLinearArgs args = weight.args(x, m, MatmulMode::kExact);
    CAPTURE(name(format));
    REQUIRE(same_bits(weight.times(args), twin(weight, args)));
  }
}

TEST_CASE("holds_bf16: values of bf16, 0 or of a magnitude from 2^-119 to below 2^113", "[packed_linear]") {
  const Bf16Kernels* kernels = pairs();
  if (kernels == nullptr) return;
  for (const std::size_t n : {1, 15, 16, 17, 100}) {
    const std::vector<float> row(n, -1.5f);
    for (std::size_t at = 0; at < n; at += n / 5 + 1) {
      const auto with = [&](float value) {
        std::vector<float> changed = row;
        changed[at] = value;
        return changed;
      };
      CAPTURE(n, at);
      for (const float value : {0.0f, -0.0f, 0x1p-119f, -0x1.fep112f}) REQUIRE(held(*kernels, with(value)));
      for (const float value : {0x1.fep-120f, 0x1p-140f, -0x1p113f, 0x1.01p0f, 1.0f + 0x1p-23f,
                                std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
        REQUIRE_FALSE(held(*kernels, with(value)));
      }
    }
  }
}
