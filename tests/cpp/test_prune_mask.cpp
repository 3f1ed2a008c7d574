// prune_mask and N:M masks: the public door and every ISA level against sort-and-cut.
#include <limits>
#include <numeric>

#include "catch.h"
#include "fairopt/prune.h"
#include "kernels/reference_prune_mask.h"
#include "kernels/reference_quantize.h"
#include "levels.h"
#include "matrices.h"

using namespace fairopt;

namespace {

/// Few distinct magnitudes of both signs: ties everywhere, across chunks too.
std::vector<float> tied(std::int64_t n, std::uint64_t seed) {
  std::vector<float> values = weights(n, seed);
  for (float& value : values) value = std::nearbyint(value * 50.0f) / 50.0f;
  return values;
}

std::vector<std::uint8_t> mask_of(const std::vector<float>& score, std::int64_t prune) {
  std::vector<std::uint8_t> mask(score.size(), 0xcc);
  prune_mask(score.data(), DType::kFloat32, static_cast<std::int64_t>(score.size()), prune, mask.data());
  return mask;
}

}  // namespace

TEST_CASE("prune_mask: equals sort-and-cut, ties by the lower index first", "[prune_mask]") {
  for (const std::int64_t n : {1, 2, 15, 16, 17, 1000, 4096, 4097, 140003}) {
    const std::vector<float> inputs[] = {weights(n, 1), tied(n, 2), any_finite(n, 3),
                                         std::vector<float>(static_cast<std::size_t>(n), -1.5f)};
    for (const std::vector<float>& score : inputs) {
      for (const std::int64_t prune :
           n < 5000 ? std::vector<std::int64_t>{0, 1, n / 3, n / 2, n - 1, n} : std::vector{n / 3}) {
        CAPTURE(n, prune);
        const bool equal = mask_of(score, prune) == kernels::reference::prune_mask(score, prune);
        REQUIRE(equal);
      }
    }
  }
}

TEST_CASE("prune_mask: 16-bit scores are compared exactly", "[prune_mask]") {
  const std::int64_t n = 70001;
  for (const DType dtype : {DType::kFloat16, DType::kBFloat16}) {
    std::vector<std::uint16_t> halves;
    std::vector<float> score;
    for (const float value : weights(n, 4)) {
      const bool f16 = dtype == DType::kFloat16;
      halves.push_back(f16 ? kernels::reference::to_f16(value) : kernels::reference::to_bf16(value));
      score.push_back(f16 ? kernels::reference::from_f16(halves.back()) : kernels::reference::from_bf16(halves.back()));
    }
    std::vector<std::uint8_t> mask(halves.size());
    prune_mask(halves.data(), dtype, n, n / 2, mask.data());
    const bool equal = mask == kernels::reference::prune_mask(score, n / 2);
    REQUIRE(equal);
  }
}

TEST_CASE("prune_mask: infinities are the largest, both zeros the smallest and equal", "[prune_mask]") {
  const float inf = std::numeric_limits<float>::infinity();
  REQUIRE(mask_of({inf, -0.0f, 1.0f, 0.0f, -inf, 1e-45f}, 3) == std::vector<std::uint8_t>{1, 0, 1, 0, 1, 0});
  REQUIRE(mask_of({0.0f, -0.0f, 0.0f}, 2) == std::vector<std::uint8_t>{0, 0, 1});
}

TEST_CASE("prune_mask: every level keeps above the threshold and prunes the first ties", "[prune_mask]") {
  for (const std::int64_t n : {0, 1, 15, 16, 17, 33, 1000}) {
    const std::vector<float> score = tied(n, 7);
    const auto key = std::bit_cast<std::int32_t>(0.02f);
    const std::int32_t bucket = key >> kernels::kBucketLowBits;
    for (const kernels::KernelTable* level : runnable_levels()) {
      CAPTURE(level->name, n);
      std::vector<std::int32_t> expected, got(static_cast<std::size_t>(n + kernels::kVectorPadding));
      std::vector<std::uint8_t> mask(score.size(), 0xcc), expected_mask;
      std::int64_t ties = 5, expected_ties = 5;
      for (const float value : score) {
        const std::int32_t k = std::bit_cast<std::int32_t>(std::fabs(value));
        if (k >> kernels::kBucketLowBits == bucket) expected.push_back(k);
        const bool pruned = k < key || (k == key && expected_ties > 0);
        expected_ties -= k == key && expected_ties > 0;
        expected_mask.push_back(!pruned);
      }
      got.resize(static_cast<std::size_t>(level->keys_in_bucket(score.data(), n, bucket, got.data())));
      REQUIRE(got == expected);
      level->mask_above(score.data(), n, key, &ties, mask.data());
      REQUIRE(mask == expected_mask);
      REQUIRE(ties == expected_ties);
    }
  }
}

TEST_CASE("prune_mask_n_of_m: every n of every m, on every level", "[prune_mask]") {
  for (int m = 1; m <= kMaxM; ++m) {
    for (int n = 1; n <= m; ++n) {
      const std::int64_t rows = 3, cols = 7 * m;
      for (const std::vector<float>& score : {weights(rows * cols, 1), tied(rows * cols, 2)}) {
        const std::vector<std::uint8_t> expected = kernels::reference::prune_mask_n_of_m(score, n, m);
        CAPTURE(n, m);
        REQUIRE(std::accumulate(expected.begin(), expected.end(), 0) == rows * 7 * n);
        std::vector<std::uint8_t> mask(score.size(), 0xcc);
        prune_mask_n_of_m(score.data(), DType::kFloat32, rows, cols, n, m, mask.data());
        REQUIRE(mask == expected);
        for (const kernels::KernelTable* level : runnable_levels()) {
          CAPTURE(level->name);
          std::fill(mask.begin(), mask.end(), std::uint8_t{0xcc});
          level->n_of_m(score.data(), rows * cols, n, m, mask.data());
          REQUIRE(mask == expected);
        }
      }
    }
  }
}

TEST_CASE("prune_mask_n_of_m: long matrices are split into whole groups", "[prune_mask]") {
  for (const int m : {4, 5, 12}) {
    const std::int64_t rows = 3, cols = 60 * 1024;
    const std::vector<float> score = tied(rows * cols, 9);
    std::vector<std::uint8_t> mask(score.size());
    prune_mask_n_of_m(score.data(), DType::kFloat32, rows, cols, 2, m, mask.data());
    const bool equal = mask == kernels::reference::prune_mask_n_of_m(score, 2, m);
    REQUIRE(equal);
  }
}

TEST_CASE("prune_mask: bad arguments are refused by name", "[prune_mask]") {
  using Catch::Matchers::ContainsSubstring;
  const float score[4] = {};
  std::uint8_t mask[4] = {};
  REQUIRE_THROWS_WITH(prune_mask(score, DType::kFloat32, 4, 5, mask),
                      ContainsSubstring("prune_mask: prune must be in [0, 4], got 5"));
  REQUIRE_THROWS_WITH(prune_mask(score, DType::kFloat32, 4, -1, mask), ContainsSubstring("got -1"));
  REQUIRE_THROWS_WITH(prune_mask(nullptr, DType::kFloat32, 4, 1, mask), ContainsSubstring("must not be null"));
  REQUIRE_THROWS_WITH(prune_mask_n_of_m(score, DType::kFloat32, 1, 4, 3, 2, mask),
                      ContainsSubstring("prune_mask_n_of_m: n must be in [1, 2], got 3"));
  REQUIRE_THROWS_WITH(prune_mask_n_of_m(score, DType::kFloat32, 1, 4, 2, 33, mask),
                      ContainsSubstring("m must be in [1, 32], got 33"));
  REQUIRE_THROWS_WITH(prune_mask_n_of_m(score, DType::kFloat32, 1, 4, 2, 3, mask),
                      ContainsSubstring("cols must be a multiple of m = 3, got 4"));
}
