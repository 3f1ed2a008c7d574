"""Distances of opinions and their inequality: by hand, against SciPy, and what must always hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance

from fairopt.metrics import gini, js_distance, wasserstein_options

WEIGHTS = arrays(np.float64, (3, 5), elements=st.integers(0, 9).map(float))


def test_by_hand() -> None:
    p, q = [[0.5, 0.5, 0.0]], [[0.0, 0.5, 0.5]]
    # One half walks two options: the cumulative shares .5, 1, 1 and 0, .5, 1 differ by .5 and .5.
    assert wasserstein_options(p, q)[0] == pytest.approx(1.0)
    # The middle is (1/4, 1/2, 1/4): KL = 1/2 log2 2 + 1/2 log2 1 = 1/2 on both sides.
    assert js_distance(p, q)[0] == pytest.approx(math.sqrt(0.5))
    # Pairs of 1, 2, 3 differ by 1, 1, 2, twice each: mean 8/9 over twice the mean, 4.
    assert gini([3, 1, 2]) == pytest.approx(2 / 9)
    assert gini([0, 0, 5]) == pytest.approx(2 / 3)


def test_undefined_is_nan() -> None:
    for of in (wasserstein_options, js_distance):
        assert np.isnan(of([[0.0, 0.0], [math.nan, 1.0], [1.0, 0.0]], [[1.0, 0.0]] * 3)).tolist() == [True, True, False]
    assert all(math.isnan(gini(values)) for values in ([], [0.0, 0.0], [1.0, math.nan]))


def test_bad_input_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"js_distance: p and q must both be \[n, k\], got shapes \(1, 2\) and \(1, 3\)"
    ):
        js_distance([[1, 0]], [[1, 0, 0]])
    with pytest.raises(ValueError, match=r"wasserstein_options: q must not be negative, got -1"):
        wasserstein_options([[1, 0]], [[2, -1]])
    with pytest.raises(ValueError, match="gini: values must not be negative, got -1"):
        gini([-1, 2])


@given(WEIGHTS, WEIGHTS)
def test_distances_are_scipys(p: np.ndarray, q: np.ndarray) -> None:
    known = (p.sum(axis=1) > 0) & (q.sum(axis=1) > 0)
    ours, theirs = wasserstein_options(p, q), js_distance(p, q)
    assert np.array_equal(np.isnan(ours), ~known)
    assert np.array_equal(np.isnan(theirs), ~known)
    for index in np.flatnonzero(known):
        peer = wasserstein_distance(range(5), range(5), p[index], q[index])
        assert ours[index] == pytest.approx(peer, abs=1e-12)
        # The root of a divergence that rounds by 1e-16 is off by 1e-8.
        assert theirs[index] == pytest.approx(jensenshannon(p[index], q[index], base=2), abs=3e-8)


@given(WEIGHTS, WEIGHTS)
def test_distances_know_no_direction_and_no_reversal(p: np.ndarray, q: np.ndarray) -> None:
    for of in (wasserstein_options, js_distance):
        np.testing.assert_allclose(of(p, q), of(q, p), atol=1e-7)
        np.testing.assert_allclose(of(p, q), of(p[:, ::-1], q[:, ::-1]), atol=1e-7)
        assert np.nanmax([0.0, *of(p, p)]) < 1e-7
    assert np.nanmax([0.0, *wasserstein_options(p, q)]) <= 4
    assert np.nanmax([0.0, *js_distance(p, q)]) <= 1 + 1e-7


@given(arrays(np.float64, st.integers(1, 9), elements=st.floats(0, 100)), st.floats(0.1, 10))
def test_gini_is_the_mean_difference_over_twice_the_mean(values: np.ndarray, scale: float) -> None:
    if values.sum() < 1e-6:
        return
    pairs = np.abs(np.subtract.outer(values, values)).mean()
    assert gini(values) == pytest.approx(pairs / 2 / values.mean(), abs=1e-12)
    assert gini(values * scale) == pytest.approx(gini(values), abs=1e-12)
    assert 0 <= gini(values) + 1e-12 < 1
