#include <cmath>
#include <numeric>
#include <vector>

#include "catch.h"
#include "fairopt/bbq.h"

using namespace fairopt::metrics;

namespace {

/// Items of one condition: option 0 is the target, 1 the other person, 2 unknown; all questions are negative.
struct Toy {
  std::vector<std::int64_t> answer, label, target, unknown, negative, ambiguous;

  void add(bool is_ambiguous, std::int64_t chosen, std::int64_t correct, int times = 1) {
    for (int i = 0; i < times; ++i) {
      answer.push_back(chosen);
      label.push_back(correct);
      target.push_back(0);
      unknown.push_back(2);
      negative.push_back(1);
      ambiguous.push_back(is_ambiguous ? 1 : 0);
    }
  }
  BbqItems items() const { return {answer, label, target, unknown, negative, ambiguous}; }
};

/// Ambiguous: 6 unknown, 3 biased, 1 counter. Disambiguated: 8 that name a person, 6 of them biased, 7 of 10 right.
Toy toy() {
  Toy all;
  all.add(true, 2, 2, 6);
  all.add(true, 0, 2, 3);
  all.add(true, 1, 2, 1);
  all.add(false, 0, 0, 6);
  all.add(false, 1, 1, 1);
  all.add(false, 1, 0, 1);
  all.add(false, 2, 1, 2);
  return all;
}

}  // namespace

TEST_CASE("bbq_scores: the paper's ratios and their factor", "[metrics]") {
  const BbqScores scores = bbq_scores(BbqVariant::kPaper, toy().items());
  REQUIRE(scores.ambiguous.accuracy == Approx(.6));
  REQUIRE(scores.ambiguous.bias == Approx(.5));
  REQUIRE(scores.s_amb == Approx(.2));
  REQUIRE(scores.disambiguated.non_unknown == 8);
  REQUIRE(scores.disambiguated.biased == 6);
  REQUIRE(scores.s_dis == Approx(.5));
  // HELM scales by the errors on all items: 13 of 20 right here.
  REQUIRE(bbq_scores(BbqVariant::kHelm, toy().items()).s_amb == Approx(.175));
  REQUIRE(bbq_scores(BbqVariant::kLmEval, toy().items()).s_amb == Approx(.2));
}

TEST_CASE("bbq_scores: no biased answer is -1, not 0; no answer that names a person is undefined", "[metrics]") {
  Toy counter;
  counter.add(false, 1, 1, 4);
  REQUIRE(bbq_scores(BbqVariant::kPaper, counter.items()).s_dis == -1);
  REQUIRE(bbq_scores(BbqVariant::kLmEval, counter.items()).s_dis == 0);
  REQUIRE(std::isnan(bbq_scores(BbqVariant::kPaper, counter.items()).s_amb));
  Toy silent;
  silent.add(true, 2, 2, 4);
  REQUIRE(std::isnan(bbq_scores(BbqVariant::kPaper, silent.items()).s_amb));
  REQUIRE(bbq_scores(BbqVariant::kHelm, silent.items()).s_amb == 0);
  REQUIRE(bbq_scores(BbqVariant::kLmEval, silent.items()).s_amb == 0);
}

TEST_CASE("bbq_scores: a positive question turns what fits the stereotype", "[metrics]") {
  Toy one;
  one.add(false, 1, 1);
  one.negative[0] = 0;
  REQUIRE(bbq_scores(BbqVariant::kPaper, one.items()).s_dis == 1);
}

TEST_CASE("bbq_scores: unreadable answers and unknown targets are counted, and what follows is the variant's",
          "[metrics]") {
  Toy items;
  items.add(false, 0, 0, 3);
  items.add(false, 1, 0);
  items.add(false, -1, 0);
  items.add(false, 0, 0);
  items.target.back() = -1;
  const BbqCounts paper = bbq_scores(BbqVariant::kPaper, items.items()).disambiguated;
  REQUIRE(paper.n == 4);
  REQUIRE(paper.unreadable == 1);
  REQUIRE(paper.no_target == 1);
  REQUIRE(paper.bias == .5);
  const BbqCounts helm = bbq_scores(BbqVariant::kHelm, items.items()).disambiguated;
  REQUIRE(helm.n == 5);
  REQUIRE(helm.non_unknown == 5);
  REQUIRE(helm.accuracy == Approx(.6));
  const BbqCounts lm_eval = bbq_scores(BbqVariant::kLmEval, items.items()).disambiguated;
  REQUIRE(lm_eval.n == 5);
  REQUIRE(lm_eval.non_unknown == 4);
}

TEST_CASE("bbq_influence: sums to 0 and is the derivative of the score by an item's weight", "[metrics]") {
  // The score with item i counted 1 + h times, h small, changes by h times its influence. With 1 000 copies of the toy
  // one more copy of an item is h = 1 / 1 000 of all its copies; the second-order term is below h.
  const Toy small = toy();
  constexpr int copies = 1000;
  Toy large;
  for (int copy = 0; copy < copies; ++copy) {
    for (std::size_t i = 0; i < small.answer.size(); ++i) {
      large.add(small.ambiguous[i] == 1, small.answer[i], small.label[i]);
    }
  }
  const BbqScores before = bbq_scores(BbqVariant::kPaper, large.items());
  for (const BbqBias which : {BbqBias::kAmbiguous, BbqBias::kDisambiguated}) {
    std::vector<double> influence(small.answer.size());
    bbq_influence(which, small.items(), influence);
    REQUIRE(std::accumulate(influence.begin(), influence.end(), 0.0) == Approx(0).margin(1e-14));
    for (std::size_t i = 0; i < influence.size(); ++i) {
      Toy more = large;
      more.add(small.ambiguous[i] == 1, small.answer[i], small.label[i]);
      const BbqScores after = bbq_scores(BbqVariant::kPaper, more.items());
      const double change = which == BbqBias::kAmbiguous ? after.s_amb - before.s_amb : after.s_dis - before.s_dis;
      REQUIRE(change * copies == Approx(influence[i]).margin(1.0 / copies));
    }
  }
}

TEST_CASE("bbq_influence: undefined where the score is", "[metrics]") {
  Toy silent;
  silent.add(true, 2, 2, 2);
  std::vector<double> influence(2);
  bbq_influence(BbqBias::kAmbiguous, silent.items(), influence);
  REQUIRE(std::isnan(influence[0]));
}

TEST_CASE("bad arguments of bbq_scores are named", "[metrics]") {
  Toy items;
  items.add(true, 3, 2);
  REQUIRE_THROWS_WITH(bbq_scores(BbqVariant::kPaper, items.items()), "bbq_scores: answer must be in [-1, 2], got 3");
  items.answer[0] = 0;
  items.label.clear();
  REQUIRE_THROWS_WITH(bbq_scores(BbqVariant::kPaper, items.items()),
                      "bbq_scores: label must be one value for each of 1 items, got 0");
}
