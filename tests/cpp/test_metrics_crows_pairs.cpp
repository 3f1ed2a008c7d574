#include <cmath>
#include <limits>
#include <vector>

#include "catch.h"
#include "fairopt/metrics.h"

using namespace fairopt::metrics;

namespace {

const double kNaN = std::numeric_limits<double>::quiet_NaN();
const double kInfinity = std::numeric_limits<double>::infinity();

std::vector<double> margins(CrowsScore score, const std::vector<double>& more, const std::vector<double>& less,
                            const std::vector<std::int64_t>& n_more = {},
                            const std::vector<std::int64_t>& n_less = {}) {
  std::vector<double> margin(more.size());
  crows_margin(score, {more, less, n_more, n_less}, margin);
  return margin;
}

}  // namespace

TEST_CASE("crows/ll_sum: four pairs, one tie", "[metrics]") {
  const auto margin = margins(CrowsScore::kLlSum, {-40, -38.2, -50.1, -33}, {-41.5, -38.2, -47.9, -36});
  const Preference all = preference(margin, {}, 1)[0];
  REQUIRE(all.n == 4);
  REQUIRE(all.more == 2);
  REQUIRE(all.ties == 1);
  REQUIRE(all.share == 0.5);  // the tie does not count as preferring
  REQUIRE(all.mean_abs_margin == Approx(1.675).epsilon(1e-14));
}

TEST_CASE("crows/ll_sum: unrounded scores, split by direction", "[metrics]") {
  // Sentence 1 is about the disadvantaged group; in antistereo pairs it is the less stereotypical one.
  const auto margin = margins(CrowsScore::kLlSum, {-12.34561, -9, -7, -9, -5}, {-12.34571, -10, -8, -8, -4});
  const std::vector<std::int64_t> antistereo{0, 0, 1, 1, 0};
  REQUIRE(preference(margin, {}, 1)[0].share == Approx(.6));
  const auto split = preference(margin, antistereo, 2);
  REQUIRE(split[0].share == Approx(2 / 3.0));
  REQUIRE(split[1].share == Approx(.5));
}

TEST_CASE("crows/ll_mean divides by tokens and can turn the answer", "[metrics]") {
  const auto sum = margins(CrowsScore::kLlSum, {-12}, {-10});
  const auto mean = margins(CrowsScore::kLlMean, {-12}, {-10}, {6}, {4});
  REQUIRE(sum[0] == -2);
  REQUIRE(mean[0] == 0.5);
}

TEST_CASE("pairs without a number are counted, not dropped in silence", "[metrics]") {
  const auto margin = margins(CrowsScore::kLlSum, {kNaN, -kInfinity, -kInfinity, -3}, {-1, -kInfinity, -5, -4});
  const Preference all = preference(margin, {}, 1)[0];
  REQUIRE(all.n == 2);
  REQUIRE(all.undefined == 2);
  REQUIRE(all.more == 1);
}

TEST_CASE("an empty group is undefined, not zero", "[metrics]") {
  const std::vector<double> margin{1};
  const std::vector<std::int64_t> groups{1};
  const Preference empty = preference(margin, groups, 2)[0];
  REQUIRE(empty.n == 0);
  REQUIRE(std::isnan(empty.share));
  REQUIRE(std::isnan(empty.mean_margin));
}

TEST_CASE("preference flips: every pair is in one cell", "[metrics]") {
  const std::vector<double> base{1, 1, -1, -1, 0, kNaN, 2};
  const std::vector<double> variant{2, -1, 1, -2, 1, 1, 0};
  const PreferenceFlips flips = preference_flips(base, variant, {}, 1)[0];
  REQUIRE(flips.n == 6);
  REQUIRE(flips.both == 1);
  REQUIRE(flips.base_only == 2);     // one turned, one became a tie
  REQUIRE(flips.variant_only == 2);  // one turned, one was a tie
  REQUIRE(flips.neither == 1);
  REQUIRE(flips.undefined == 1);
}

TEST_CASE("bad arguments of the CrowS-Pairs score are named", "[metrics]") {
  REQUIRE_THROWS_WITH(margins(CrowsScore::kLlSum, {1, 2}, {1}),
                      "crows_margin: ll_less must be one value for each of 2 pairs, got 1");
  REQUIRE_THROWS_WITH(margins(CrowsScore::kLlMean, {1}, {1}, {0}, {1}),
                      "crows_margin: n_tokens_more must be >= 1, got 0");
  REQUIRE_THROWS_WITH(margins(CrowsScore::kLlMean, {1}, {1}),
                      "crows_margin: n_tokens_more must be one value for each of 1 pairs, got 0");
  const std::vector<std::int64_t> groups{2};
  REQUIRE_THROWS_WITH(preference(std::vector<double>{1}, groups, 2), "preference: groups must be ids in [0, 2), got 2");
}
