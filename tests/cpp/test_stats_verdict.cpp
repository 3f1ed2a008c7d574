#include <cmath>
#include <limits>
#include <vector>

#include "catch.h"
#include "fairopt/churn.h"
#include "fairopt/multiplicity.h"
#include "fairopt/power.h"
#include "fairopt/verdict.h"

using namespace fairopt::stats;

namespace {

void require_all(const std::vector<double>& got, const std::vector<double>& want) {
  REQUIRE(got.size() == want.size());
  for (std::size_t i = 0; i < got.size(); ++i) REQUIRE(got[i] == Approx(want[i]).margin(5e-7));
}

using Indices = std::vector<std::int64_t>;

}  // namespace

TEST_CASE("Holm and Benjamini-Hochberg", "[stats]") {
  const std::vector<double> p{.001, .008, .039, .041, .042, .06, .074, .205, .212, .216};
  require_all(holm(p), {.01, .072, .312, .312, .312, .312, .312, .615, .615, .615});
  require_all(benjamini_hochberg(p), {.01, .04, .084, .084, .084, .1, .105714, .216, .216, .216});
}

TEST_CASE("an undefined test is no test", "[stats]") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<double> p{.04, nan, .01};
  REQUIRE(holm(p)[0] == Approx(.04));
  REQUIRE(holm(p)[2] == Approx(.02));
  REQUIRE(std::isnan(holm(p)[1]));
  REQUIRE(std::isnan(benjamini_hochberg(p)[1]));
  REQUIRE(holm({}).empty());
  REQUIRE_THROWS_WITH(holm(std::vector<double>{1.5}), "holm: p must be in [0, 1], got 1.5");
}

TEST_CASE("SHIP needs every gate, each at its own level", "[stats]") {
  const std::vector<Gate> gates{{.05, .95}, {.001, .999}};
  const Verdict found = verdict(gates);
  REQUIRE(found.decision == Decision::kShip);
  REQUIRE(found.deciding == Indices{0, 1});
}

TEST_CASE("HOLD needs one gate, after Holm over all of them", "[stats]") {
  const std::vector<Gate> gates{{.999, .001}, {.8, .2}, {.1, .9}, {.2, .8}, {.4, .6}, {.05, .95}};
  const Verdict found = verdict(gates);
  REQUIRE(found.decision == Decision::kHold);
  REQUIRE(found.deciding == Indices{0});
  REQUIRE(found.p_bad_holm[0] == Approx(.006));
  REQUIRE(found.states[0] == GateState::kFail);
  REQUIRE(found.states[5] == GateState::kPass);
  const std::vector<Gate> weaker{{.98, .02}, {.8, .2}, {.1, .9}};
  REQUIRE(verdict(weaker).decision == Decision::kInconclusive);
  REQUIRE(verdict(weaker).deciding == Indices{0, 1, 2});
}

TEST_CASE("an undefined gate blocks SHIP and counts in Holm", "[stats]") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<Gate> gates{{.01, .99}, {nan, nan, true}};
  const Verdict found = verdict(gates);
  REQUIRE(found.decision == Decision::kInconclusive);
  REQUIRE(found.deciding == Indices{1});
  REQUIRE(found.states[1] == GateState::kUndefined);
  const std::vector<Gate> hold{{.97, .03}, {nan, nan, true}};
  REQUIRE(verdict(hold).decision == Decision::kInconclusive);  // .03 * 2 > .05
}

TEST_CASE("a sample too small for a claim cannot make it", "[stats]") {
  const std::vector<Gate> no_ship{{.001, .999, false, true, false}};
  REQUIRE(verdict(no_ship).decision == Decision::kInconclusive);
  const std::vector<Gate> no_hold{{.999, .001, false, false, true}};
  REQUIRE(verdict(no_hold).decision == Decision::kInconclusive);
  REQUIRE(verdict(no_hold).p_bad_holm[0] == 1);
}

TEST_CASE("a verdict needs gates and p values", "[stats]") {
  REQUIRE_THROWS_WITH(verdict({}), "verdict: gates must be at least one gate, got 0");
  const std::vector<Gate> gates{{std::numeric_limits<double>::quiet_NaN(), .5}};
  REQUIRE_THROWS_WITH(verdict(gates), "verdict: p_ok must be in [0, 1] for a defined gate, got nan");
}

TEST_CASE("odd one out, and the ceiling of the noise", "[stats]") {
  REQUIRE(odd_one_out(12, 4) == Approx(.02452087).margin(1e-8));
  REQUIRE(odd_one_out(0, 0) == 1);
  REQUIRE(noise_ceiling(0, 1508, .05) == Approx(.00198459).margin(1e-8));
  REQUIRE(noise_ceiling(5, 5, .05) == 1);
  REQUIRE(std::isnan(noise_ceiling(0, 0, .05)));
  REQUIRE_THROWS_WITH(noise_ceiling(3, 2, .05), "noise_ceiling: flips must be in [0, 2], got 3");
}

TEST_CASE("the margin that a true no-change would pass", "[stats]") {
  struct Case {
    double discordance, n, simple, score;
  };
  for (const auto& [discordance, n, simple, score] :
       {Case{.1, 1000, .024865, .025616}, Case{.05, 300, .032100, .036662}, Case{.02, 1508, .009055, .009840}}) {
    REQUIRE(min_detectable_simple(discordance, n) == Approx(simple).margin(5e-7));
    REQUIRE(min_detectable(discordance, n) == Approx(score).margin(5e-7));
  }
  PowerOptions six;
  six.gates = 6;
  REQUIRE(min_detectable(.1, 1000, six) == Approx(.035450).margin(5e-7));
  PowerOptions halved;
  halved.design_effect = 2;
  REQUIRE(min_detectable(.1, 1000, halved) == min_detectable(.1, 500));
  REQUIRE(std::isnan(min_detectable(.5, 1)));
  REQUIRE(min_detectable_mean(2) == Approx(2 * (1.6448536270 + .8416212336)));
  REQUIRE_THROWS_WITH(min_detectable(1.5, 10), "min_detectable: discordance must be in [0, 1], got 1.5");
}
