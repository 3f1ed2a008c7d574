"""Multiple choice: the metrics by hand, and how questions become requests."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairopt.benchmarks import Answer, LogLikelihood, item_columns
from fairopt.benchmarks.rows import Row
from fairopt.benchmarks.utility.arc_easy import ArcEasy
from fairopt.benchmarks.utility.multiple_choice import ORDER, Question, lettered, printed
from fairopt.errors import InputError
from fairopt.metrics import (
    answer_bits_per_byte,
    choice_confidence,
    choice_correct,
    choice_lead,
    choice_mass,
    choices,
)

INF, NAN = math.inf, math.nan

#                 first wins   a tie: the first   two options      no score        nothing possible
SCORES = np.array([[-1, -2, -4], [-3, -2, -2], [-5, -4, -INF], [-1, NAN, -2], [-INF, -INF, -INF]])


def test_by_hand() -> None:
    assert choices(SCORES).tolist() == [0, 1, 1, -1, -1]
    np.testing.assert_array_equal(choice_correct(SCORES, [0, 2, 1, 0, 0]), [1, 0, 1, NAN, NAN])
    np.testing.assert_array_equal(choice_lead(SCORES, [0, 2, 0, 0, 0]), [1, 0, -1, NAN, NAN])
    e = math.e
    np.testing.assert_allclose(
        choice_confidence(SCORES), [e**3 / (e**3 + e**2 + 1), e / (2 * e + 1), e / (e + 1), NAN, NAN]
    )
    among = [[True, False, True], [False, True, False], [True, False, False], [True] * 3, [True] * 3]
    np.testing.assert_allclose(
        choice_mass(SCORES, among), [(e**3 + 1) / (e**3 + e**2 + 1), e / (2 * e + 1), 1 / (e + 1), NAN, NAN]
    )
    # 2 ln 2 nats are two bits; over four bytes half a bit a byte.
    np.testing.assert_allclose(answer_bits_per_byte([-2 * math.log(2), -1.0, NAN], [4, 0, 3]), [0.5, NAN, NAN])


def test_a_mass_of_long_answers_does_not_underflow() -> None:
    assert choice_mass([[-2000.0, -2000.0 + math.log(3)]], [[True, False]])[0] == pytest.approx(0.25)


@given(
    st.lists(st.lists(st.integers(-40, 0).map(float), min_size=3, max_size=3), min_size=1, max_size=9),
    st.permutations(range(3)),
)
def test_relabelling_the_options_changes_nothing_but_ties(rows: list[list[float]], order: list[int]) -> None:
    scores, right = np.array(rows), np.zeros(len(rows), np.int64)
    moved, there = scores[:, order], np.full(len(rows), order.index(0))
    np.testing.assert_array_equal(choice_lead(scores, right), choice_lead(moved, there))
    np.testing.assert_allclose(choice_confidence(scores), choice_confidence(moved), rtol=1e-12)
    clear = choice_lead(scores, right) != 0
    np.testing.assert_array_equal(choice_correct(scores, right)[clear], choice_correct(moved, there)[clear])
    assert np.all((choice_confidence(scores) >= 1 / 3 - 1e-12) & (choice_confidence(scores) <= 1))
    whole = choice_mass(scores, np.ones_like(scores))
    np.testing.assert_allclose(whole, 1)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: choices([1.0, 2.0]), r"choices: scores must be \[items, options\]"),
        (lambda: choice_correct(SCORES, [0, 1]), "choice_correct: right must be one index for each of 5 items, got 2"),
        (lambda: choice_lead(SCORES, [0, 0, 0, 0, 3]), "choice_lead: right must be from 0 to 2, got 3"),
        (lambda: choice_mass(SCORES, [[True]]), "choice_mass: among must have the shape of scores"),
        (lambda: answer_bits_per_byte([1.0], [1, 2]), "n_bytes must be one number for each of 1 items, got 2"),
    ],
)
def test_shapes_are_checked(call, said: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=said):
        call()


def question(*options: str, right: int = 0) -> Question:
    return Question("q", "Question: which?\nAnswer:", options, right, "g", "set", "c", {"from": "test"})


ROW = Row("arc_easy", "'file', line 1", {})


def test_a_question_becomes_requests_and_evidence_a_table() -> None:
    benchmark = ArcEasy()
    items = [
        benchmark.item(question("naïve", "no", right=0), ROW),
        benchmark.item(question("a", "b", "c", "d", "e", right=4), ROW),
    ]
    assert items[0].requests == (("Question: which?\nAnswer:", " naïve"), ("Question: which?\nAnswer:", " no"))
    assert items[0].fields["bytes_right"] == 6  # ï is two
    scores = [[-10.0, -3.0], [-4.0, -4.0, -3.0, -9.0, -2.0]]
    rows = [benchmark.evidence(item, [Answer(ll, 1) for ll in own]) for item, own in zip(items, scores, strict=True)]
    assert rows[0]["ll_2"] == -INF
    table = {**item_columns(items), **{name: np.array([row[name] for row in rows]) for name in rows[0]}}
    by_id = {metric.id: metric for metric in benchmark.metrics}
    assert by_id["arc_easy/acc"].value(table).tolist() == [0, 1]
    # -10 / 5 characters is -2 a character, -3 / 2 is -1.5: still the wrong one; with three letters more it would tie.
    assert by_id["arc_easy/acc_norm"].value(table).tolist() == [0, 1]
    np.testing.assert_allclose(by_id["arc_easy/bits_per_byte"].value(table), [10 / 6 / math.log(2), 2 / math.log(2)])
    confident, right = benchmark.confidence(table)
    assert right.tolist() == [False, True]
    assert confident[0] == pytest.approx(1 / (1 + math.exp(-7)))


def test_length_is_what_acc_norm_takes_away() -> None:
    benchmark = ArcEasy()
    items = [benchmark.item(question("a rather long answer", "no", right=0), ROW)]
    rows = [benchmark.evidence(items[0], [Answer(-10.0, 4), Answer(-3.0, 1)])]
    table = {**item_columns(items), **{name: np.array([row[name] for row in rows]) for name in rows[0]}}
    values = {metric.id: metric.value(table)[0] for metric in benchmark.metrics}
    assert values["arc_easy/acc"] == 0  # -10 < -3
    assert values["arc_easy/acc_norm"] == 1  # -10 / 20 > -3 / 2


@pytest.mark.parametrize("options", [("one",), tuple("abcdef")])
def test_too_few_and_too_many_options_are_refused(options: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match=r"arc_easy: choices in 'file', line 1 must be from 2 to 5 options"):
        ArcEasy().item(question(*options), ROW)


def test_an_answer_in_a_chat_is_asked_for_as_chat() -> None:
    assert ArcEasy().ask == LogLikelihood(chat=False)
    chat = ArcEasy().at({"chat": "on"})
    assert chat.ask == LogLikelihood(chat=True)
    assert [metric.id for metric in chat.metrics][:2] == ["arc_easy/acc?chat=on", "arc_easy/acc_norm?chat=on"]
    assert chat.metrics[1].instead_of == "arc_easy/acc?chat=on"


def test_the_order_of_options_is_a_level() -> None:
    options = ["w", "x", "y", "z"]
    assert printed("given", "i", options, 1) == (options, 1)
    assert printed("reversed", "i", options, 1) == (["z", "y", "x", "w"], 2)
    orders = set()
    for item in map(str, range(40)):
        shuffled, right = printed("shuffled:3", item, options, 1)
        assert (sorted(shuffled), shuffled[right]) == (options, "x")
        assert printed("shuffled:3", item, options, 1) == (shuffled, right)  # of this item, always
        orders.add(tuple(shuffled))
    assert len(orders) > 12  # of 24: the items do not share one
    assert ORDER.allows("shuffled:3")
    assert not ORDER.allows("shuffled")
    assert lettered(["w", "x"]) == "A. w\nB. x"
