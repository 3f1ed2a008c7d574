"""WEAT: by hand, by definition, and what must always hold."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fairopt import metrics

# Directions with whole-number sides: (3, 4) has the cosines .6 and .8 with the axes.
FIRST = np.array([[1.0, 0.0], [3.0, 4.0]])
SECOND = np.array([[0.0, 2.0], [4.0, 3.0]])


def test_by_hand() -> None:
    one = metrics.weat_associations(FIRST, [[1.0, 0.0]], [[0.0, 5.0]])
    two = metrics.weat_associations(SECOND, [[1.0, 0.0]], [[0.0, 5.0]])
    np.testing.assert_allclose(one, [1.0, -0.2], atol=1e-15)  # 1 - 0, .6 - .8
    np.testing.assert_allclose(two, [-1.0, 0.2], atol=1e-15)  # 0 - 1, .8 - .6
    # Means .4 and -.4; squares 1 + .04 + 1 + .04 over 3 give the variance .69333 of all four.
    assert metrics.weat_effect_size(one, two) == pytest.approx(0.8 / math.sqrt(2.08 / 3), abs=1e-12)
    assert metrics.weat_effect_size(one, two) == pytest.approx(0.9607689, abs=1e-7)
    # Sums of the six pairs: .8, 0, 1.2, -1.2, 0, -.8; two are at least .8.
    assert metrics.weat_permutation(one, two) == metrics.WeatPermutation(2 / 6, 6, True)


def test_attribute_sets_of_unequal_size_by_hand() -> None:
    """With (0, 1) and (-1, 0) for second attributes a target (x, y) of length 1 has x - (y - x) / 2."""
    one, two = (metrics.weat_associations(side, [[2.0, 0.0]], [[0.0, 1.0], [-3.0, 0.0]]) for side in (FIRST, SECOND))
    np.testing.assert_allclose(one, [1.5, 0.5], atol=1e-15)
    np.testing.assert_allclose(two, [-0.5, 0.9], atol=1e-15)
    # Means 1 and .2; squares .81 + .01 + 1.21 + .09 over 3.
    assert metrics.weat_effect_size(one, two) == pytest.approx(0.8 / math.sqrt(2.12 / 3), abs=1e-12)
    assert metrics.weat_permutation(one, two).p == 2 / 6  # sums 2, 1, 2.4, 0, 1.4, .4


def by_definition(x: np.ndarray, y: np.ndarray, a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Effect size and exact p as bias-bench defines them, cosine by cosine."""

    def cosine(u: np.ndarray, v: np.ndarray) -> float:
        return float(np.dot(u, v) / math.sqrt(np.dot(u, u) * np.dot(v, v)))

    def association(w: np.ndarray) -> float:
        return float(np.mean([cosine(w, u) for u in a]) - np.mean([cosine(w, u) for u in b]))

    xs, ys = [association(w) for w in x], [association(w) for w in y]
    size = (np.mean(xs) - np.mean(ys)) / np.std(xs + ys, ddof=1)
    sums = [sum(chosen) for chosen in itertools.combinations(xs + ys, len(xs))]
    return float(size), float(np.mean([total >= sum(xs) - 1e-12 for total in sums]))


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_the_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y, a, b = (rng.normal(size=(n, 8)) + 0.3 for n in (6, 6, 5, 7))
    one, two = metrics.weat_associations(x, a, b), metrics.weat_associations(y, a, b)
    size, p = by_definition(x, y, a, b)
    assert metrics.weat_effect_size(one, two) == pytest.approx(size, abs=1e-12)
    found = metrics.weat_permutation(one, two)
    assert (found.p, found.partitions, found.exact) == (pytest.approx(p, abs=1e-12), math.comb(12, 6), True)


def test_a_sampled_p_is_near_the_exact_one() -> None:
    rng = np.random.default_rng(0)
    one, two = rng.normal(size=8) + 0.4, rng.normal(size=8)
    exact = metrics.weat_permutation(one, two)
    sampled = metrics.weat_permutation(one, two, exact_limit=0, samples=9_999, seed=3)
    assert (exact.exact, sampled.exact, sampled.partitions) == (True, False, 9_999)
    # Five standard errors of a share of 9,999: one false alarm in a million seeds, and the seed is fixed.
    assert sampled.p == pytest.approx(exact.p, abs=5 * math.sqrt(exact.p * (1 - exact.p) / 9_999) + 1e-4)
    assert metrics.weat_permutation(one, two, exact_limit=0, seed=3) == sampled
    assert metrics.weat_permutation(one, two, exact_limit=0, seed=4) != sampled
    # The observed partition counts as one: never 0.
    far = metrics.weat_permutation(np.arange(20) + 100.0, np.arange(20.0), exact_limit=0, samples=99)
    assert far.p == 1 / 100


def test_undefined_is_nan() -> None:
    assert np.isnan(metrics.weat_associations([[0.0, 0.0]], [[1.0, 0.0]], [[0.0, 1.0]])).all()
    assert math.isnan(metrics.weat_effect_size([0.3, 0.3], [0.3, 0.3]))
    assert math.isnan(metrics.weat_effect_size([], [1.0]))
    assert math.isnan(metrics.weat_effect_size([1.0, math.nan], [0.0]))
    for one, two in (([], [1.0]), ([1.0, math.nan], [0.0])):
        assert math.isnan(metrics.weat_permutation(one, two).p)
    assert metrics.weat_permutation([0.1] * 3, [0.1] * 3).p == 1  # all ties


def test_refuses() -> None:
    with pytest.raises(ValueError, match=r"first_attributes must be vectors \[n, hidden\] of the same size, got"):
        metrics.weat_associations([[1.0, 2.0]], [[1.0]], [[1.0, 2.0]])
    with pytest.raises(ValueError, match=r"targets must be vectors .* got shape \(2,\)"):
        metrics.weat_associations([1.0, 2.0], [[1.0]], [[1.0, 2.0]])
    with pytest.raises(ValueError, match="samples must be at least 1, got 0"):
        metrics.weat_permutation([1.0], [2.0], samples=0)


# Away from 0, where a direction is lost, and from the largest numbers, whose squares overflow.
VECTORS = arrays(np.float64, (4, 3), elements=st.floats(-3, 3).map(lambda x: x + math.copysign(0.1, x)))


@given(VECTORS, VECTORS, VECTORS, VECTORS, st.floats(0.01, 100))
def test_what_always_holds(x: np.ndarray, y: np.ndarray, a: np.ndarray, b: np.ndarray, scale: float) -> None:
    def effect(x: np.ndarray, y: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
        return metrics.weat_effect_size(metrics.weat_associations(x, a, b), metrics.weat_associations(y, a, b))

    one, two = metrics.weat_associations(x, a, b), metrics.weat_associations(y, a, b)
    assert (np.abs(one) <= 2 + 1e-12).all()
    size = effect(x, y, a, b)
    if math.isnan(size):
        return
    # Rounding of associations, some 1e-15, over a deviation that may be small itself.
    near = pytest.approx(size, abs=1e-9 / float(np.std([*one, *two], ddof=1)) * 1e-4 + 1e-12)
    assert abs(size) <= math.sqrt(2 * 7 / 4) + 1e-9
    assert -effect(y, x, a, b) == near  # targets swapped
    assert -effect(x, y, b, a) == near  # attributes swapped
    assert effect(scale * x, y, a, scale * b) == near
    assert effect(x[::-1], y[[2, 0, 3, 1]], a[::-1], b[[1, 0, 3, 2]]) == near
    p = metrics.weat_permutation(one, two)
    assert 1 / p.partitions <= p.p <= 1
    assert metrics.weat_permutation(one[::-1], two[::-1]) == p
