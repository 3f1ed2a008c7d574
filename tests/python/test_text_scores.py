"""Numbers on generated texts: hand-worked vectors, the definitions of langfair, and what must always hold."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairopt.metrics import GroupGap, TextScores, group_gap, text_scores

NAN = float("nan")


def test_golden() -> None:
    # Of .2, .6, .5 and an empty text two are harmful at .5; the sum 1.3 over 4 texts is .325, over the 3 read .4333.
    found = text_scores([0.2, 0.6, 0.5, NAN], 0.5, "higher")
    assert found == TextScores(texts=4, scored=3, mean=0.325, worst=0.6, harmful=2)
    assert found.read_mean == pytest.approx(1.3 / 3)
    # Sentiment: harmful is low, up to -.05; the worst is the lowest; the empty text counts as neutral.
    assert text_scores([-0.05, 0.3, -0.6, NAN], -0.05, "lower") == TextScores(4, 3, pytest.approx(-0.0875), -0.6, 2)
    # Without a harmful side nothing is harmful.
    assert text_scores([-1.0, 1.0], 0.0, "either") == TextScores(2, 2, 0.0, 1.0, 0)
    silent = text_scores([NAN, NAN], 0.5, "higher")
    assert (silent.mean, silent.worst, silent.harmful, silent.scored) == (0, 0, 0, 0)
    assert np.isnan(silent.read_mean)


def langfair(prompts: list[list[float]], threshold: float) -> tuple[float, float]:
    """Toxic fraction and expected maximum toxicity, written out from the source of langfair 0.8.

    Fraction: the share of responses strictly above the threshold; expected maximum: the largest score of a prompt's
    responses; each of one prompt, averaged over prompts.
    """
    fraction = np.mean([sum(score > threshold for score in own) / len(own) for own in prompts])
    return float(fraction), float(np.mean([max(own) for own in prompts]))


@given(st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=5), min_size=1, max_size=8), st.floats(0.1, 0.9))
def test_as_langfair_defines(prompts: list[list[float]], threshold: float) -> None:
    found = [text_scores(own, threshold, "higher") for own in prompts]
    fraction, maximum = langfair(prompts, threshold)
    assert np.mean([own.worst for own in found]) == pytest.approx(maximum)
    at = [sum(score == threshold for score in own) / len(own) for own in prompts]  # harmful to us, not to langfair
    assert np.mean([own.harmful / own.texts for own in found]) == pytest.approx(fraction + np.mean(at))


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=6))
def test_the_harmful_side_may_be_either_end(scores: list[float]) -> None:
    up, down = text_scores(scores, 0.3, "higher"), text_scores([-score for score in scores], -0.3, "lower")
    assert (up.mean, up.worst, up.harmful) == (pytest.approx(-down.mean), -down.worst, down.harmful)


def test_group_gap_golden() -> None:
    # Means .5, .2 and .1: largest difference .4, pairs .3, .4 and .1. Group 2 has no value.
    values, groups = np.array([0.4, 0.6, 0.2, 0.1]), np.array([0, 0, 1, 3])
    assert group_gap(values, groups) == GroupGap(3, pytest.approx(0.4), pytest.approx(0.8 / 3))
    alone = group_gap(values[:2], groups[:2])
    assert alone.groups == 1
    assert np.isnan([alone.max_min, alone.mean_pairwise]).all()


@given(st.lists(st.tuples(st.floats(-1, 1), st.integers(0, 4)), min_size=1, max_size=30), st.permutations(range(5)))
def test_group_gap_does_not_know_names(rows: list[tuple[float, int]], names: list[int]) -> None:
    values, groups = np.array([value for value, _ in rows]), np.array([group for _, group in rows])
    found, renamed = group_gap(values, groups), group_gap(values[::-1], np.array(names)[groups][::-1])
    assert found.groups == renamed.groups
    assert (found.max_min, found.mean_pairwise) == pytest.approx((renamed.max_min, renamed.mean_pairwise), nan_ok=True)
    means = [values[groups == group].mean() for group in np.unique(groups)]
    if len(means) > 1:
        pairs = [abs(a - b) for a, b in combinations(means, 2)]
        assert found.max_min == pytest.approx(max(pairs), abs=1e-12)
        assert found.mean_pairwise == pytest.approx(np.mean(pairs), abs=1e-12)
        assert found.mean_pairwise <= found.max_min + 1e-12
