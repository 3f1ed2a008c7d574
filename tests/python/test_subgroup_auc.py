"""AUCs within and across an identity: a vector by hand, scikit-learn as peer, and what must always hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from fairopt import metrics

# Six texts about the identity, four about nothing; worked by hand below.
TRUE = np.array([1, 1, 0, 0, 0, 0, 1, 1, 0, 0])
SCORE = np.array([0.9, 0.4, 0.8, 0.4, 0.1, 0.1, 0.8, 0.3, 0.2, 0.1])
MEMBER = np.array([1, 1, 1, 1, 1, 1, 0, 0, 0, 0])


def test_by_hand() -> None:
    """Pairs of a positive and a negative text, won or tied.

    Within the identity: 0.9 wins 4 of 4; 0.4 loses to 0.8, ties with 0.4, wins 2: (4 + 2.5) / 8.
    BPSN, positives 0.8 and 0.3 of the background against 0.8, 0.4, 0.1, 0.1: 3.5 + 2 of 8.
    BNSP, positives 0.9 and 0.4 of the identity against 0.2 and 0.1: 4 of 4.
    """
    found = metrics.subgroup_auc(TRUE, SCORE, MEMBER)
    assert (found.positives, found.negatives) == (2, 4)
    assert (found.subgroup, found.bpsn, found.bnsp) == (6.5 / 8, 5.5 / 8, 1.0)
    assert metrics.roc_auc(TRUE, SCORE) == 20 / 24  # 0.9: 6; 0.8: 5.5; 0.4: 4.5; 0.3: 4


def test_error_rates_by_hand() -> None:
    """Threshold 0.5. All: 1 of 6 harmless texts is flagged, 2 of 4 harmful ones are missed.

    Identity: 1 of 4 and 1 of 2. Background: 0 of 2 and 1 of 2. FPED = |1/6 - 1/4| + |1/6 - 0|, FNED = 0.
    """
    found = metrics.equality_difference(TRUE, SCORE > 0.5, {"them": MEMBER, "others": 1 - MEMBER})
    assert found.fped == pytest.approx(1 / 12 + 1 / 6)
    assert found.fned == 0.0
    assert (found.n_fped, found.n_fned) == (2, 2)
    only_harmless = MEMBER * (1 - TRUE)
    found = metrics.equality_difference(TRUE, SCORE > 0.5, {"them": only_harmless})
    assert (found.n_fped, found.n_fned) == (1, 0)
    assert math.isnan(found.fned)


def test_placements_by_hand() -> None:
    """Toxic 0.9 is above all three, 0.4 above one and tied with one; harmless 0.4 is below one and tied with one."""
    found = metrics.roc_placements([1, 1, 0, 0, 0], [0.9, 0.4, 0.8, 0.4, 0.1])
    assert found == pytest.approx([1, 1.5 / 3, 1 / 2, 1.5 / 2, 1])
    assert (
        found[:2].mean()
        == pytest.approx(found[2:].mean())
        == metrics.roc_auc([1, 1, 0, 0, 0], [0.9, 0.4, 0.8, 0.4, 0.1])
    )
    assert np.isnan(metrics.roc_placements([1, 1], [0.1, 0.2])).all()


def test_generalized_mean() -> None:
    assert metrics.generalized_mean([0.5, 0.8], power=-1) == pytest.approx(2 / (1 / 0.5 + 1 / 0.8))
    assert metrics.generalized_mean([0.5, 1.0]) == pytest.approx(((0.5**-5 + 1) / 2) ** -0.2)
    assert metrics.generalized_mean([0.7] * 3) == pytest.approx(0.7)
    assert metrics.generalized_mean([0.0, 1.0]) == 0.0
    assert math.isnan(metrics.generalized_mean([]))
    assert math.isnan(metrics.generalized_mean([0.5, np.nan]))


def test_what_cannot_be_told_is_nan() -> None:
    assert math.isnan(metrics.roc_auc([1, 1], [0.1, 0.2]))
    assert math.isnan(metrics.roc_auc([], []))
    assert math.isnan(metrics.roc_auc([1, 0, 0], [0.1, 0.2, np.nan]))
    found = metrics.subgroup_auc([1, 0, 1, 0], [0.4, 0.3, 0.2, np.nan], [0, 0, 1, 1])
    assert math.isnan(found.subgroup)
    assert math.isnan(found.bpsn)
    assert found.bnsp == 0.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.roc_auc([1, 0], [0.5]), "roc_auc: y_true must be one truth value for each of 1 items"),
        (lambda: metrics.roc_auc([2], [0.5]), "roc_auc: y_true must be truth values, got [2]"),
        (lambda: metrics.roc_auc([1], ["a"]), "roc_auc: y_score must be real numbers"),
        (lambda: metrics.subgroup_auc([1], [0.5], [[1]]), "subgroup_auc: member must be one truth value"),
        (lambda: metrics.generalized_mean([0.5], power=0), "generalized_mean: power must not be 0"),
        (lambda: metrics.generalized_mean([-0.5]), "generalized_mean: values must not be negative, got -0.5"),
        (lambda: metrics.equality_difference([1], [1], {"a": [1, 0]}), "equality_difference: members['a'] must be"),
    ],
)
def test_bad_arguments_are_named(call, message: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011  the text is compared
        call()
    assert str(error.value).startswith(message)


ROWS = st.lists(st.tuples(st.booleans(), st.integers(-6, 6), st.booleans()), min_size=1, max_size=60)


@given(ROWS)
def test_scikit_learn_agrees(rows: list[tuple[bool, int, bool]]) -> None:
    true, score, member = (np.array(column) for column in zip(*rows, strict=True))
    found = metrics.subgroup_auc(true, score, member)
    sides = {"subgroup": member, "bpsn": member != true, "bnsp": member == true}
    for name, chosen in sides.items():
        ours = getattr(found, name)
        if len(set(true[chosen])) < 2:  # scikit-learn has no answer either
            assert math.isnan(ours)
        else:  # sums of at most 60 halves are exact; one division each
            assert ours == pytest.approx(roc_auc_score(true[chosen], score[chosen]), abs=1e-14)


@given(ROWS, st.randoms())
def test_what_always_holds(rows: list[tuple[bool, int, bool]], random) -> None:
    true, score, member = (np.array(column) for column in zip(*rows, strict=True))
    found = metrics.subgroup_auc(true, score, member)
    mirrored = metrics.subgroup_auc(~true, -score, member)  # harmful and harmless trade places
    for here, there in (("subgroup", "subgroup"), ("bpsn", "bnsp"), ("bnsp", "bpsn")):
        assert getattr(found, here) == pytest.approx(getattr(mirrored, there), abs=1e-14, nan_ok=True)
    assert repr(metrics.subgroup_auc(true, score**3, member)) == repr(found)  # only the order counts
    shuffled = random.sample(rows, len(rows))
    again = metrics.subgroup_auc(*(np.array(column) for column in zip(*shuffled, strict=True)))
    assert repr(again) == repr(found)
    swapped = metrics.subgroup_auc(true, score, ~member)  # background and subgroup trade places
    assert (repr(swapped.bpsn), repr(swapped.bnsp)) == (repr(found.bnsp), repr(found.bpsn))
