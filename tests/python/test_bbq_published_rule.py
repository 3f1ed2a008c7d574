"""BBQ by the rule of the second study, which measures accuracy, and what bias costs in accuracy."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairopt import benchmarks, metrics
from fairopt.benchmarks.questions.bbq_items import read_questions

FIELDS = ("label", "target", "unknown", "polarity", "condition", "published_non")


@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=1, max_size=40), st.integers(0, 2))
def test_the_published_rule_is_the_accuracy_where_groups_are_named(rows: list[tuple[int, bool]], unknown: int) -> None:
    """Groups such as "Muslim", as many negative questions as others, each answered alike: seeds of the 146 rows.

    Whatever the answers, ``s_amb`` is the accuracy on ambiguous items and ``s_dis`` is u / (1 - u).
    """
    answers = np.array([answer for answer, _ in rows for _ in range(2)])
    negative = np.tile([True, False], len(rows))
    ambiguous = np.array([kind for _, kind in rows for _ in range(2)])
    people = [option for option in range(3) if option != unknown]
    label = np.where(ambiguous, unknown, people[0])
    n = len(answers)
    items = metrics.BbqItems(answers, label, [people[0]] * n, [unknown] * n, negative, ambiguous)
    found = metrics.bbq_as_published(items, np.zeros((n, 3), bool))
    named = answers != unknown
    if named[ambiguous].any():
        assert found.s_amb == pytest.approx(np.mean(answers[ambiguous] == unknown), abs=1e-12)
        assert -1 <= found.s_amb <= 2
    if named[~ambiguous].any():
        u = np.mean(~named[~ambiguous])
        assert found.s_dis == pytest.approx(u / (1 - u), abs=1e-12)


def test_the_published_rule_on_religion(data_dir: Path) -> None:
    """Religion's questions, answered at random: the rule gives the accuracy, to the imbalance of the answers."""
    items = [
        benchmarks.get("bbq").item(q, "")  # type: ignore[attr-defined]
        for q in read_questions(data_dir / "bbq" / "data" / "Religion.jsonl")
    ]
    fields = {name: np.array([item.fields[name] for item in items]) for name in FIELDS}
    assert not fields["published_non"].any()
    answers = np.random.default_rng(5).integers(0, 3, len(items))
    found = metrics.bbq_as_published(bbq_items(fields, answers), np.zeros((len(items), 3), bool))
    ambiguous = fields["condition"] == "ambig"
    negative = fields["polarity"] == "neg"
    named = answers != fields["unknown"]
    accuracy = np.mean(answers[ambiguous] == fields["unknown"][ambiguous])
    # 2 b / named - 1 with b the negative questions, which are half of all: 1 / (1 - accuracy) - 1 exactly.
    assert negative[ambiguous].mean() == 0.5
    assert found.s_amb == pytest.approx(accuracy, abs=1e-12)
    corrected = metrics.bbq_scores(bbq_items(fields, answers)).s_amb
    assert abs(corrected) < 0.1 < found.s_amb  # random answers: no bias; the rule says "0.33"
    assert named.any()


def bbq_items(fields: dict[str, np.ndarray], answers: np.ndarray) -> metrics.BbqItems:
    return metrics.BbqItems(
        answers,
        fields["label"],
        fields["target"],
        fields["unknown"],
        fields["polarity"] == "neg",
        fields["condition"] == "ambig",
    )


def test_the_published_rule_by_hand() -> None:
    """Age: "old" and "nonOld". Negative: old is biased, "unknown" too; positive: nonOld is. 3 biased of 3 named."""
    non = np.tile([False, True, False], (4, 1))  # old, nonOld, unknown
    items = metrics.BbqItems([0, 2, 1, 0], [2] * 4, [0] * 4, [2] * 4, [True, True, False, False], [True] * 4)
    assert metrics.bbq_as_published(items, non).s_amb == pytest.approx((1 - 1 / 4) * (2 * 3 / 3 - 1))
    assert metrics.bbq_scores(items).s_amb == pytest.approx((1 - 1 / 4) * (2 * 2 / 3 - 1))
    assert math.isnan(metrics.bbq_as_published(items, non).s_dis)
    with pytest.raises(ValueError, match="bbq_as_published: non must be three truth values for each of 4 items"):
        metrics.bbq_as_published(items, non[:2])


def test_what_bias_costs_by_hand() -> None:
    """Right answers that fit: 2 of 3 found. That run against it: 1 of 2. One item has no target, one is ambiguous."""
    items = metrics.BbqItems(
        answer=[0, 1, 1, 1, 0, 0, 0],
        label=[0, 0, 1, 1, 1, 0, 0],
        target=[0, 0, 0, 0, 0, -1, 0],
        unknown=[2] * 7,
        negative=[True, True, False, True, True, True, True],
        ambiguous=[False] * 6 + [True],
    )
    assert metrics.bbq_accuracy_cost(items) == pytest.approx(2 / 3 - 1 / 2)
    assert math.isnan(metrics.bbq_accuracy_cost(metrics.BbqItems([0], [0], [0], [2], [True], [False])))
