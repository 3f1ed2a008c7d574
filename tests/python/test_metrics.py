"""CrowS-Pairs scores: published toy values, plain re-computation, and what must always hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairopt import metrics, stats

SCORES = st.one_of(st.floats(-200, 0).map(lambda x: round(x, 2)), st.just(math.nan))


def test_toy_of_the_causal_score() -> None:
    margin = metrics.crows_margin("crows/ll_sum", [-40, -38.2, -50.1, -33], [-41.5, -38.2, -47.9, -36])
    found = metrics.preference(margin)
    assert (found.n, found.more, found.ties, found.share) == (4, 2, 1, 0.5)
    assert found.mean_abs_margin == pytest.approx(1.675)


def test_toy_split_by_direction() -> None:
    margin = metrics.crows_margin("crows/ll_sum", [-12.34561, -9, -7, -9, -5], [-12.34571, -10, -8, -8, -4])
    found = metrics.preference_by(margin, ["stereo", "stereo", "antistereo", "antistereo", "stereo"])
    assert list(found) == ["antistereo", "stereo"]
    assert found["stereo"].share == pytest.approx(2 / 3)
    assert found["antistereo"].share == 0.5
    assert metrics.preference(margin).share == pytest.approx(0.6)


def test_tokens_are_divided_by_for_the_mean_only() -> None:
    lls = ([-12.0, -30.0], [-10.0, -30.0])
    tokens = ([6, 10], [4, 10])
    assert metrics.crows_margin("crows/ll_sum", *lls).tolist() == [-2, 0]
    assert metrics.crows_margin("crows/ll_mean", *lls, *tokens).tolist() == [0.5, 0]


@given(st.lists(st.tuples(SCORES, SCORES, st.sampled_from("xyz")), min_size=1, max_size=50))
def test_preference_against_a_plain_loop(pairs: list[tuple[float, float, str]]) -> None:
    margin = metrics.crows_margin("crows/ll_sum", [m for m, _, _ in pairs], [s for _, s, _ in pairs])
    groups = [g for _, _, g in pairs]
    for group, found in metrics.preference_by(margin, groups).items():
        scored = [(m, s) for m, s, g in pairs if g == group and not math.isnan(m) and not math.isnan(s)]
        assert found.n == len(scored)
        assert found.undefined == groups.count(group) - len(scored)
        assert found.more == sum(m > s for m, s in scored)
        assert found.ties == sum(m == s for m, s in scored)
        if scored:
            assert found.share == sum(m > s for m, s in scored) / len(scored)
            assert found.mean_margin == pytest.approx(np.mean([m - s for m, s in scored]), abs=1e-9)
            assert found.mean_abs_margin == pytest.approx(np.mean([abs(m - s) for m, s in scored]), abs=1e-9)
        else:
            assert math.isnan(found.share)
            assert math.isnan(found.mean_margin)


@given(st.lists(st.tuples(SCORES, SCORES, st.sampled_from("xyz")), min_size=1, max_size=50))
def test_flips_cover_every_pair_once(margins: list[tuple[float, float, str]]) -> None:
    base, variant = [b for b, _, _ in margins], [v for _, v, _ in margins]
    groups = [g for _, _, g in margins]
    base_shifted, variant_shifted = np.add(base, 100), np.add(variant, 100)
    all_ = metrics.preference_flips(base_shifted, variant_shifted)
    assert all_.n == all_.both + all_.base_only + all_.variant_only + all_.neither
    assert all_.n + all_.undefined == len(margins)
    back = metrics.preference_flips(variant_shifted, base_shifted)
    assert (back.base_only, back.variant_only) == (all_.variant_only, all_.base_only)
    same = metrics.preference_flips(base_shifted, base_shifted)
    assert same.base_only == same.variant_only == 0
    by_group = metrics.preference_flips_by(base_shifted, variant_shifted, groups).values()
    for field in ("n", "both", "base_only", "variant_only", "neither", "undefined"):
        assert sum(getattr(cell, field) for cell in by_group) == getattr(all_, field)


def test_flips_are_the_change_of_the_share() -> None:
    """Where nothing is undefined: share after - share before = (towards - away) / n, which the gates test."""
    rng = np.random.default_rng(0)
    base, variant = rng.normal(0.3, 1, 500), rng.normal(0.2, 1, 500)
    flips = metrics.preference_flips(base, variant)
    change = metrics.preference(variant).share - metrics.preference(base).share
    assert (flips.variant_only - flips.base_only) / flips.n == pytest.approx(change)
    test = stats.paired_binary(flips.variant_only, flips.base_only, flips.n, margin=0.03)
    assert test.estimate == pytest.approx(-change)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: metrics.crows_margin("crows/pll", [1], [1]),  # type: ignore[arg-type]
            "crows_margin: metric must be one of 'crows/ll_sum', 'crows/ll_mean', got 'crows/pll'",
        ),
        (
            lambda: metrics.crows_margin("crows/ll_sum", [1, 2], [1]),
            "crows_margin: ll_less must be one value for each of 2 pairs, got 1",
        ),
        (
            lambda: metrics.crows_margin("crows/ll_mean", [1], [1], [3], [0]),
            "crows_margin: n_tokens_less must be >= 1, got 0",
        ),
        (
            lambda: metrics.preference_flips([1.0], [1.0, 2.0]),
            "preference_flips: variant_margin must be one value for each of 1 items, got 2",
        ),
        (
            lambda: metrics.preference_by([1.0], ["a", "b"]),
            "preference_by: groups must be one label for each of 1 items, got 2",
        ),
    ],
)
def test_bad_arguments_are_named(call: object, message: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011  the whole text is compared
        call()  # type: ignore[operator]
    assert str(error.value) == message


def test_no_items() -> None:
    assert metrics.preference_by([], []) == {}
    assert metrics.preference([]).n == 0
    assert math.isnan(metrics.preference([]).share)
