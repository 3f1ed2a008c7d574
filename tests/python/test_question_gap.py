"""Gaps of groups within questions, the mixed model, and unequal choices: by hand, by peers, and what must hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from fairopt import metrics
from fairopt.metrics import (
    best_group_deviation,
    discrimination_scores,
    imbalance_influence,
    question_gap,
    question_gap_by_lot,
    random_intercept,
    uniform_choice,
)

GROUPS = np.array(["a", "a", "b", "b"] * 2)
QUESTIONS = np.array(["p"] * 4 + ["q"] * 4)
VALUES = np.array([0.1, 0.3, 0.6, 0.8, 0.5, 0.5, 0.5, 0.1])


def test_gap_by_hand() -> None:
    # p: means .2 and .7; q: .5 and .3. Gaps .5 and .2.
    assert question_gap(VALUES, GROUPS, QUESTIONS) == pytest.approx(0.35)
    # Every value a group of its own: .7 and .4.
    assert question_gap(VALUES, np.arange(8), QUESTIONS) == pytest.approx(0.55)
    # q by lot: the .1 is in one of two pairs, always a gap of .2. p: the three pairings of .1 give .5, .2, 0 apart.
    assert question_gap_by_lot(VALUES[4:], GROUPS[4:], QUESTIONS[4:]) == pytest.approx(0.2)
    lots = question_gap_by_lot(VALUES[:4], GROUPS[:4], QUESTIONS[:4], draws=20_000)
    assert lots == pytest.approx((0.5 + 0.2 + 0.0) / 3, abs=4 * 0.21 / math.sqrt(20_000))  # four standard errors
    # b is best off in p, a in q: equally often. Alone in p, b has 1 and a 0: both half away from a half.
    assert best_group_deviation(VALUES, GROUPS, QUESTIONS) == pytest.approx(0)
    assert best_group_deviation(VALUES[:4], GROUPS[:4], QUESTIONS[:4]) == pytest.approx(0.5)


def test_largest_difference_grows_with_noise_and_the_gap_beyond_lot_does_not() -> None:
    """The published gap of 135 personas calls a model that treats all alike, but noisily, discriminating."""
    rng = np.random.default_rng(0)
    questions, personas = np.repeat(np.arange(70), 135), np.tile(np.arange(135), 70)
    race = personas % 5
    found = []
    for noise in (0.01, 0.1):
        p = 0.5 + rng.uniform(-noise, noise, questions.size)
        beyond = question_gap(p, race, questions) - question_gap_by_lot(p, race, questions)
        found.append((question_gap(p, personas, questions), beyond))
    assert found[0][0] > 0.019  # of at most .02
    assert found[1][0] > 0.19
    # A group's mean of 27 has sd noise / sqrt(81); the range of 5 such, over 70 questions, one of less than .02 noise.
    assert all(abs(beyond) < 4 * 0.02 * noise for (_, beyond), noise in zip(found, (0.01, 0.1), strict=True))


def test_one_item_a_group_cannot_be_told_from_lot() -> None:
    personas = np.arange(8)
    gap = question_gap(VALUES, personas, QUESTIONS)
    assert question_gap_by_lot(VALUES, personas, QUESTIONS) == pytest.approx(gap)


def test_lots_belong_to_their_question() -> None:
    whole = [question_gap_by_lot(VALUES[q == QUESTIONS], GROUPS[q == QUESTIONS], [q] * 4) for q in ("p", "q")]
    assert question_gap_by_lot(VALUES, GROUPS, QUESTIONS) == pytest.approx(np.mean(whole))
    order = np.random.default_rng(1).permutation(8)
    assert question_gap_by_lot(VALUES[order], GROUPS[order], QUESTIONS[order]) == pytest.approx(np.mean(whole))


def test_a_missing_value_is_not_passed_over() -> None:
    missing = np.where(np.arange(8) == 3, np.nan, VALUES)
    for of in (question_gap, question_gap_by_lot, best_group_deviation):
        assert math.isnan(of(missing, GROUPS, QUESTIONS))
        assert math.isnan(of([], [], []))
    scores = discrimination_scores(missing, QUESTIONS, {"group": GROUPS}, {"group": "a"})
    assert math.isnan(scores["group", "b"])


def test_balanced_coefficients_are_mean_differences() -> None:
    # b is .5 above a in p and .2 below in q.
    scores = discrimination_scores(VALUES, QUESTIONS, {"group": GROUPS}, {"group": "a"})
    assert scores == {("group", "b"): pytest.approx(0.15)}
    swapped = discrimination_scores(VALUES, QUESTIONS, {"group": GROUPS}, {"group": "b"})
    assert swapped == {("group", "a"): pytest.approx(-0.15)}


def unbalanced(between: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    n = 300
    question, race, gender = rng.integers(0, 20, n), rng.integers(0, 4, n), rng.integers(0, 3, n)
    y = between * rng.normal(size=20)[question] + 0.4 * (race == 2) + rng.normal(size=n)
    x = np.column_stack([np.ones(n), *(race == k for k in (1, 2, 3)), *(gender == k for k in (1, 2))])
    return y, x.astype(np.float64), question


def test_unbalanced_fit_is_that_of_statsmodels() -> None:
    statsmodels = pytest.importorskip("statsmodels.api")
    y, x, question = unbalanced(between=2.0)
    ours = random_intercept(y, x, question)
    theirs = statsmodels.MixedLM(y, x, groups=question).fit(reml=True)
    # Its optimiser stops where variances are known to three digits; coefficients depend on them to second order.
    np.testing.assert_allclose(ours.coefficients, theirs.fe_params, atol=2e-4)
    np.testing.assert_allclose(ours.standard_errors, theirs.bse_fe, rtol=2e-3)
    assert ours.within == pytest.approx(theirs.scale, rel=2e-3)
    assert ours.between == pytest.approx(float(theirs.cov_re[0, 0]), rel=2e-3)


def test_without_variance_between_questions_it_is_least_squares() -> None:
    """Where statsmodels' optimisers fail: the variance is on the border."""
    statsmodels = pytest.importorskip("statsmodels.api")
    y, x, question = unbalanced(between=0.0)
    ours, plain = random_intercept(y, x, question), statsmodels.OLS(y, x).fit()
    assert ours.between == 0
    np.testing.assert_allclose(ours.coefficients, plain.params, atol=1e-12)
    np.testing.assert_allclose(ours.standard_errors, plain.bse, atol=1e-12)


def test_a_design_that_cannot_tell_groups_apart_has_no_coefficients() -> None:
    same = random_intercept(VALUES, np.column_stack([np.ones(8), np.ones(8)]), QUESTIONS)
    assert np.isnan(same.coefficients).all()
    with pytest.raises(
        ValueError, match=r"random_intercept: design and questions must have 8 rows, got \(7, 1\) and 8"
    ):
        random_intercept(VALUES, np.ones((7, 1)), QUESTIONS)


def test_choices_by_hand() -> None:
    # 1, 2, 3 of 6, expected 2 each: chi-square (1 + 0 + 1) / 2 = 1; over 6 choices and 2 degrees of freedom 1/12.
    found = uniform_choice([1, 2, 3])
    assert (found.n, found.gap, found.chi_square) == pytest.approx((6, 1 / 3, 1))
    assert found.imbalance == pytest.approx(1 / 12)
    assert found.p == pytest.approx(math.exp(-0.5))
    assert uniform_choice([4, 0]).imbalance == 1  # always the same
    assert uniform_choice([5, 5, 5]).imbalance == 0
    assert math.isnan(uniform_choice([0, 0]).gap)
    with pytest.raises(ValueError, match="uniform_choice: counts must be two or more numbers of at least 0"):
        uniform_choice([3])


@given(st.lists(st.integers(0, 30), min_size=2, max_size=7).filter(any))
def test_choices_are_scipys(counts: list[int]) -> None:
    found, peer = uniform_choice(counts), chisquare(counts)
    assert found.chi_square == pytest.approx(peer.statistic, abs=1e-9)
    assert found.p == pytest.approx(peer.pvalue, abs=1e-9)
    assert 0 <= found.imbalance <= 1 + 1e-12


def test_influence_of_a_choice() -> None:
    rng = np.random.default_rng(2)
    choices = np.eye(4)[rng.choice(4, 400, p=[0.4, 0.3, 0.2, 0.1])] * (rng.random(400) < 0.8)[:, None]
    influence = imbalance_influence(choices)
    assert influence.sum() == pytest.approx(0, abs=1e-12)
    whole = uniform_choice(choices.sum(axis=0)).imbalance
    for index in range(5):  # leaving one item out moves the value by minus its influence, to first order in 1/n
        left = uniform_choice(np.delete(choices, index, axis=0).sum(axis=0)).imbalance
        assert left - whole == pytest.approx(-influence[index], abs=3 / 400**2)


def test_all_are_exported() -> None:
    assert metrics.random_intercept is random_intercept
