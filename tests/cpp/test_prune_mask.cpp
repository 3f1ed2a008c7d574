// Masks of a matrix, of its rows, of N:M and of a model: the public doors and every ISA level against sort-and-cut.
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

std::int32_t key_of(float value) { return std::bit_cast<std::int32_t>(std::fabs(value)); }

std::vector<std::int32_t> keys_of(const std::vector<float>& score) {
  std::vector<std::int32_t> keys(score.size());
  std::transform(score.begin(), score.end(), keys.begin(), key_of);
  return keys;
}

std::int32_t largest_key(const std::vector<float>& score) {
  std::int32_t largest = 0;
  for (const float value : score) largest = std::max(largest, key_of(value));
  return largest;
}

std::vector<float> any_norms(std::int64_t cols) {
  std::vector<float> norms = weights(cols, 5);
  for (float& norm : norms) norm = std::fabs(norm);
  norms.front() = 0;
  return norms;
}

PruneScores matrix(const std::vector<float>& values, std::int64_t cols, const std::vector<float>& norms = {}) {
  const auto rows = static_cast<std::int64_t>(values.size()) / cols;
  return {values.data(), DType::kFloat32, rows, cols, norms.empty() ? nullptr : norms.data()};
}

std::vector<std::uint8_t> mask_of(const std::vector<float>& score, std::int64_t prune) {
  std::vector<std::uint8_t> mask(score.size(), 0xcc);
  prune_mask(matrix(score, static_cast<std::int64_t>(score.size())), prune, mask.data());
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
    prune_mask({halves.data(), dtype, 1, n}, n / 2, mask.data());
    const bool equal = mask == kernels::reference::prune_mask(score, n / 2);
    REQUIRE(equal);
  }
}

TEST_CASE("prune_mask: both zeros are the smallest and equal", "[prune_mask]") {
  REQUIRE(mask_of({7.0f, -0.0f, 1.0f, 0.0f, -3e38f, 1e-45f}, 3) == std::vector<std::uint8_t>{1, 0, 1, 0, 1, 0});
  REQUIRE(mask_of({0.0f, -0.0f, 0.0f}, 2) == std::vector<std::uint8_t>{0, 0, 1});
}

TEST_CASE("prune_mask: a product of score and norm that overflows is the largest", "[prune_mask]") {
  const std::vector<float> values = {3e38f, 1.0f, -3e38f, 2.0f}, norms = {3e38f, 0.0f};
  std::vector<std::uint8_t> mask(4);
  prune_mask(matrix(values, 2, norms), 3, mask.data());
  REQUIRE(mask == std::vector<std::uint8_t>{0, 0, 1, 0});
}

TEST_CASE("prune_mask_rows: each row is cut alone, with and without norms", "[prune_mask]") {
  for (const std::int64_t cols : {1, 3, 16, 100, 1031, 11008}) {
    const std::int64_t rows = cols > 5000 ? 3 : 7;
    const std::vector<float> norms = any_norms(cols);
    for (const std::vector<float>& values : {weights(rows * cols, 1), tied(rows * cols, 2)}) {
      for (const std::int64_t prune : {std::int64_t{0}, cols / 3, cols / 2, cols - 1, cols}) {
        CAPTURE(cols, prune);
        std::vector<std::uint8_t> mask(values.size(), 0xcc), scaled = mask;
        prune_mask_rows(matrix(values, cols), prune, mask.data());
        bool equal = mask == kernels::reference::prune_mask_rows(values, cols, prune);
        REQUIRE(equal);
        prune_mask_rows(matrix(values, cols, norms), prune, scaled.data());
        equal =
            scaled == kernels::reference::prune_mask_rows(kernels::reference::prune_scores(values, norms), cols, prune);
        REQUIRE(equal);
      }
    }
  }
}

TEST_CASE("prune_mask_model: one cut through matrices of any shape, ties by matrix", "[prune_mask]") {
  const std::vector<std::vector<float>> values = {tied(70000, 1), {}, tied(33, 2), weights(140000, 3), tied(1, 4)};
  const std::vector<std::int64_t> cols = {700, 1, 11, 1000, 1};
  std::vector<std::vector<float>> norms, scores;
  for (std::size_t i = 0; i < values.size(); ++i) {
    norms.push_back(any_norms(cols[i]));
    scores.push_back(kernels::reference::prune_scores(values[i], norms[i]));
  }
  for (const bool scaled : {false, true}) {
    for (const std::int64_t prune : {0, 1, 40000, 105017, 210033, 210034}) {
      CAPTURE(scaled, prune);
      std::vector<PruneScores> matrices;
      std::vector<std::vector<std::uint8_t>> masks;
      std::vector<std::uint8_t*> bytes;
      for (std::size_t i = 0; i < values.size(); ++i) {
        matrices.push_back(matrix(values[i], cols[i], scaled ? norms[i] : std::vector<float>{}));
        if (scaled) matrices.back().norms = norms[i].data();
        masks.emplace_back(values[i].size(), std::uint8_t{0xcc});
      }
      for (std::vector<std::uint8_t>& mask : masks) bytes.push_back(mask.data());
      prune_mask_model(matrices, prune, bytes);
      const bool equal = masks == kernels::reference::prune_mask_model(scaled ? scores : values, prune);
      REQUIRE(equal);
    }
  }
}

TEST_CASE("prune_mask: every level keeps above the threshold and prunes the first ties", "[prune_mask]") {
  for (const std::int64_t n : {0, 1, 15, 16, 17, 33, 1000}) {
    const std::vector<float> score = tied(n, 7);
    const auto key = std::bit_cast<std::int32_t>(0.02f);
    for (const kernels::KernelTable* level : runnable_levels()) {
      CAPTURE(level->name, n);
      std::vector<std::uint8_t> mask(score.size(), 0xcc), expected_mask;
      std::int64_t ties = 5, expected_ties = 5;
      for (const float value : score) {
        const std::int32_t k = key_of(value);
        const bool pruned = k < key || (k == key && expected_ties > 0);
        expected_ties -= k == key && expected_ties > 0;
        expected_mask.push_back(!pruned);
      }
      level->mask_above(keys_of(score).data(), n, key, &ties, mask.data());
      REQUIRE(mask == expected_mask);
      REQUIRE(ties == expected_ties);
    }
  }
}

TEST_CASE("prune_mask: every level cuts at a guess and collects what lies in the bracket", "[prune_mask]") {
  for (const std::int64_t n : {0, 1, 15, 16, 17, 33, 64, 100, 4096, 9000}) {
    const std::vector<float> score = tied(n, 7);
    const std::int32_t two = key_of(0.02f), four = key_of(0.04f), six = key_of(0.06f), most = 0x7fffffff;
    const kernels::KeyBracket brackets[] = {{two, four, six}, {two, two, six}, {two, six, six}, {two, two, two},
                                            {0, four, most},  {0, 0, 1},       {six, six, 0}};
    for (const kernels::KeyBracket bracket : brackets) {
      std::vector<std::uint8_t> expected;
      std::vector<std::int32_t> expected_keys;
      std::vector<std::uint16_t> expected_places;
      std::int64_t not_below = 0;
      for (std::int64_t i = 0; i < n; ++i) {
        const std::int32_t key = key_of(score[static_cast<std::size_t>(i)]);
        expected.push_back(key >= bracket.cut);
        not_below += key >= bracket.low;
        if (key < bracket.low || key >= bracket.high) continue;
        expected_keys.push_back(key);
        expected_places.push_back(static_cast<std::uint16_t>(70 + i));
      }
      for (const kernels::KernelTable* level : runnable_levels()) {
        CAPTURE(level->name, n, bracket.low, bracket.cut, bracket.high);
        std::vector<std::uint8_t> mask(score.size(), 0xcc);
        std::vector<std::int32_t> keys(score.size());
        std::vector<std::uint16_t> places(score.size());
        const kernels::BracketCounts got =
            level->mask_and_collect(score.data(), n, bracket, mask.data(), 70, {keys.data(), places.data()});
        keys.resize(static_cast<std::size_t>(got.between));
        places.resize(static_cast<std::size_t>(got.between));
        const bool equal = mask == expected && keys == expected_keys && places == expected_places;
        REQUIRE(equal);
        REQUIRE(got.not_below == not_below);
        REQUIRE(got.largest == largest_key(score));
        for (const std::int32_t limit : {-1, 0, four, most}) {
          const auto below = std::count_if(keys.begin(), keys.end(), [&](std::int32_t key) { return key < limit; });
          REQUIRE(level->count_below(keys.data(), got.between, limit) == below);
        }
      }
    }
  }
}

TEST_CASE("prune_mask: every level makes the keys of magnitudes, and the largest, NaN included", "[prune_mask]") {
  for (const std::int64_t n : {0, 1, 15, 16, 17, 33, 1000}) {
    std::vector<float> values = weights(n, 7), norms = any_norms(n + 1);
    if (n > 2) values[2] = std::numeric_limits<float>::quiet_NaN();
    if (n > 16) values[16] = -std::numeric_limits<float>::infinity();
    for (const kernels::KernelTable* level : runnable_levels()) {
      for (const float* factors : std::initializer_list<const float*>{nullptr, norms.data() + 1}) {
        CAPTURE(level->name, n);
        std::vector<float> score = values;
        for (std::size_t i = 0; factors != nullptr && i < score.size(); ++i) score[i] = values[i] * factors[i];
        std::vector<std::int32_t> keys(score.size());
        REQUIRE(level->magnitude_keys(values.data(), factors, n, keys.data()) == largest_key(score));
        const bool equal = keys == keys_of(score);
        REQUIRE(equal);
      }
    }
  }
}

TEST_CASE("prune_mask: every level multiplies exactly", "[prune_mask]") {
  const std::vector<float> a = weights(1000, 1), b = weights(1000, 2);
  std::vector<float> expected(1000), got(1000);
  for (std::size_t i = 0; i < 1000; ++i) expected[i] = a[i] * b[i];
  for (const kernels::KernelTable* level : runnable_levels()) {
    for (const std::int64_t n : {0, 1, 15, 16, 17, 1000}) {
      std::fill(got.begin(), got.end(), 0.0f);
      level->multiply(a.data(), b.data(), n, got.data());
      REQUIRE(std::equal(got.begin(), got.begin() + n, expected.begin()));
    }
  }
}

TEST_CASE("prune_mask: scores whose sample misleads are cut all the same", "[prune_mask]") {
  const std::int64_t n = 3000000;
  std::vector<float> rising(static_cast<std::size_t>(n)), two_values = rising, half_zero = weights(n, 8);
  for (std::size_t i = 0; i < rising.size(); ++i) {
    rising[i] = static_cast<float>(i);
    two_values[i] = i % 3 == 0 ? 1.0f : -2.0f;
    if (i % 2 == 0) half_zero[i] = 0;
  }
  for (const std::vector<float>& score : {rising, two_values, half_zero}) {
    for (const std::int64_t prune : {n / 3, n / 3 + 1, n / 2, n / 2 + 1, n - 1}) {
      const bool equal = mask_of(score, prune) == kernels::reference::prune_mask(score, prune);
      REQUIRE(equal);
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
        prune_mask_n_of_m(matrix(score, cols), n, m, mask.data());
        REQUIRE(mask == expected);
        for (const kernels::KernelTable* level : runnable_levels()) {
          CAPTURE(level->name);
          std::fill(mask.begin(), mask.end(), std::uint8_t{0xcc});
          REQUIRE(level->n_of_m(score.data(), rows * cols, n, m, mask.data()) == largest_key(score));
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
    prune_mask_n_of_m(matrix(score, cols), 2, m, mask.data());
    const bool equal = mask == kernels::reference::prune_mask_n_of_m(score, 2, m);
    REQUIRE(equal);
  }
}

TEST_CASE("prune_mask_n_of_m: norms are those of the columns", "[prune_mask]") {
  const std::vector<float> values = tied(9 * 4096, 6), norms = any_norms(4096);
  std::vector<std::uint8_t> mask(values.size());
  prune_mask_n_of_m(matrix(values, 4096, norms), 3, 8, mask.data());
  const bool equal =
      mask == kernels::reference::prune_mask_n_of_m(kernels::reference::prune_scores(values, norms), 3, 8);
  REQUIRE(equal);
}

TEST_CASE("prune_mask: bad arguments are refused by name", "[prune_mask]") {
  using Catch::Matchers::Equals;
  std::vector<float> score(4), norms(2);
  std::uint8_t mask[4] = {};
  const PruneScores good = matrix(score, 2, norms);
  const auto refused = [](const auto& call, const std::string& message) {
    REQUIRE_THROWS_WITH(call(), Equals(message));
  };
  refused([&] { prune_mask(good, 5, mask); }, "prune_mask: prune must be in [0, 4], got 5");
  refused([&] { prune_mask(good, -1, mask); }, "prune_mask: prune must be in [0, 4], got -1");
  refused([&] { prune_mask(good, 1, nullptr); }, "prune_mask: score and its mask must not be null");
  refused([&] { prune_mask_rows(good, 3, mask); }, "prune_mask_rows: prune must be in [0, 2], got 3");
  refused([&] { prune_mask_n_of_m(good, 3, 2, mask); }, "prune_mask_n_of_m: n must be in [1, 2], got 3");
  refused([&] { prune_mask_n_of_m(good, 2, 33, mask); }, "prune_mask_n_of_m: m must be in [1, 32], got 33");
  refused([&] { prune_mask_n_of_m(good, 2, 3, mask); }, "prune_mask_n_of_m: cols must be a multiple of m = 3, got 2");
  refused([&] { prune_mask_model({&good, 1}, 1, {}); },
          "prune_mask_model: masks must be as many as the 1 matrices, got 0");
}

TEST_CASE("prune_mask: NaN and infinity are refused, and norms below 0", "[prune_mask]") {
  using Catch::Matchers::Equals;
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> score(4), norms = {1, 1};
  std::uint8_t mask[4] = {}, *masks[] = {mask};
  const PruneScores scores = matrix(score, 2, norms);
  for (const float bad : {inf, -inf, nan}) {
    score[3] = bad;
    const std::string got = ": score must be finite, got 1 NaN or infinite values";
    REQUIRE_THROWS_WITH(prune_mask(scores, 0, mask), Equals("prune_mask" + got));
    REQUIRE_THROWS_WITH(prune_mask(scores, 2, mask), Equals("prune_mask" + got));
    REQUIRE_THROWS_WITH(prune_mask_rows(scores, 1, mask), Equals("prune_mask_rows" + got));
    REQUIRE_THROWS_WITH(prune_mask_n_of_m(scores, 1, 2, mask), Equals("prune_mask_n_of_m" + got));
    REQUIRE_THROWS_WITH(prune_mask_model({&scores, 1}, 2, masks),
                        Equals("prune_mask_model: scores[0] must be finite, got 1 NaN or infinite values"));
  }
  score[3] = 0;
  norms[1] = nan;
  REQUIRE_THROWS_WITH(prune_mask(scores, 1, mask),
                      Equals("prune_mask: norms must be finite, got 1 NaN or infinite values"));
  norms[1] = -2;
  REQUIRE_THROWS_WITH(prune_mask(scores, 1, mask), Equals("prune_mask: norms must be at least 0, got -2"));
}
