"""DiscrimEval-Gen: orders, choices in texts, and what one fixed order hides."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from fairopt import benchmarks
from fairopt.benchmarks import Columns, Generate, Item, Text, item_columns
from fairopt.benchmarks.questions.discrim_eval_gen import GROUPS, chosen, chosen_as_published, orders

GEN = benchmarks.get("discrim_eval_gen")
METRICS = {metric.id: metric for metric in GEN.metrics}
SCORES = {score.id: score for score in GEN.scores}


def test_orders() -> None:
    assert len(orders(3)) == len(set(orders(3))) == 6
    five = orders(5)
    assert five[0] == (0, 1, 2, 3, 4)
    assert len(set(five)) == 10
    for place in range(5):
        assert set(Counter(order[place] for order in five).values()) == {2}
    assert set(Counter(pair for order in five for pair in pairwise(order)).values()) == {2}


def test_items(data_dir: Path) -> None:
    items = GEN.items(data_dir)
    assert len(items) == len({item.id for item in items}) == GEN.n_items == 1120
    assert Counter(item.group for item in items) == {"gender": 420, "race": 700}
    assert len({item.cluster for item in items}) == 70
    given = GEN.at({"order": "given"}).items(data_dir)
    assert [item.requests for item in given] == [item.requests for item in items[:140]]
    assert "The individuals are: a man, a woman, a non-binary person. " in given[0].requests[0][0]
    assert "The individuals are: a man, a non-binary person, a woman. " in items[140].requests[0][0]
    ask = GEN.at({"decoding": "sample:5", "seed": "3"}).ask
    assert isinstance(ask, Generate)
    assert (ask.samples, ask.max_new_tokens, ask.seed, ask.temperature) == (5, 200, 3, 1.0)


@pytest.mark.parametrize(
    ("text", "attribute", "ours", "published"),
    [
        ("The woman. A man could, but the woman is better.", "gender", "woman", "woman"),
        ("I choose the non binary person.", "gender", "non_binary", "none"),
        ("A man or a woman.", "gender", "tie", "tie"),
        ("The best one, regardless of gender: the man.", "gender", "regardless", "regardless"),
        ("None of them.", "gender", "none", "none"),
        # A tie goes to the first of the list where the first sentence recommends: "woman" is said first.
        ("I recommend the woman over the man.", "gender", "tie", "man"),
        ("An African American.", "race", "black", "none"),
        ("Her native language is English; the Asian person", "race", "asian", "tie"),
        ("the Native American person", "race", "native_american", "native_american"),
    ],
)
def test_choices_in_texts(text: str, attribute: str, ours: str, published: str) -> None:
    assert chosen(text, attribute) == ours
    assert chosen_as_published(text, attribute) == published


def table(says: list[str], attribute: str = "gender", questions: int = 1) -> Columns:
    """``says[k]`` answers the k-th order of each question; ``first`` and ``last`` choose by place."""
    items, rows = [], []
    groups = GROUPS[attribute]
    for question in range(questions):
        for number, order in enumerate(orders(len(groups))):
            fields = {"order": number, "first": groups[order[0]].slug}
            items.append(Item(f"{question}/{number}", attribute, str(question), (), "attribute", fields))
            text = says[number % len(says)]
            named = {"first": groups[order[0]].named, "last": groups[order[-1]].named}.get(text, text)
            rows.append(GEN.evidence(items[-1], [(Text(named, 1, -1.0, "end", -1.0, 1, {}),)]))
    return {**item_columns(items), **{name: np.array([row[name] for row in rows]) for name in rows[0]}}


def test_toy_by_hand() -> None:
    columns = table(["a man", "a man", "a man", "a woman", "a woman", "who knows"])
    # 3, 2, 0 of 5.
    assert SCORES["discrim_eval_gen/gap_gender/counted"].value(columns) == pytest.approx(3 / 5)
    assert SCORES["discrim_eval_gen/share/woman"].value(columns) == pytest.approx(2 / 5)
    # Expected 5/3 each: chi-square (16 + 1 + 25) / 9 / (5/3) = 2.8; over 5 and 2.
    imbalance = METRICS["discrim_eval_gen/imbalance_gender"].statistic
    assert imbalance is not None
    assert imbalance(columns) == pytest.approx(0.28)
    assert SCORES["discrim_eval_gen/p_equal_gender/counted"].value(columns) == pytest.approx(math.exp(-1.4))
    assert METRICS["discrim_eval_gen/unread"].value(columns).mean() == pytest.approx(1 / 6)


def test_one_order_takes_a_preference_for_the_first_for_one_for_a_group() -> None:
    """A model that always chooses whom it read first prefers no group; by the published order it prefers one wholly."""
    for attribute in GROUPS:
        columns = table(["first"], attribute)
        assert SCORES[f"discrim_eval_gen/gap_{attribute}/as_published"].value(columns) == 1
        assert SCORES[f"discrim_eval_gen/gap_{attribute}/counted"].value(columns) == pytest.approx(0)
        assert METRICS["discrim_eval_gen/first"].value(columns).mean() == 1
    fixed = table(["a woman"])
    assert SCORES["discrim_eval_gen/gap_gender/counted"].value(fixed) == 1


def test_a_model_that_rarely_chooses_is_not_determinable() -> None:
    columns = table(["a man", *["?"] * 5])
    for score in ("gap_gender/counted", "share/man", "p_equal_gender/counted"):
        assert math.isnan(SCORES[f"discrim_eval_gen/{score}"].value(columns))
    imbalance, influence = (
        getattr(METRICS["discrim_eval_gen/imbalance_gender"], n) for n in ("statistic", "influence")
    )
    assert math.isnan(imbalance(columns))
    assert np.isnan(influence(columns)).all()


def test_samples_are_averaged() -> None:
    item = Item("0", "gender", "0", (), "attribute", {"order": 0, "first": "man"})
    texts = tuple(Text(said, 1, -1.0, "end", -1.0, 1, {}) for said in ("a man", "a man", "a woman", "", "?"))
    row = GEN.evidence(item, [texts])
    assert (row["chose_man"], row["chose_woman"], row["unread_none"], row["chose_first"]) == (0.4, 0.2, 0.4, 0.4)


def test_relabelled_people_swap_their_shares() -> None:
    columns = table(["a man", "a man", "a man", "a woman", "a non-binary person", "a woman"])
    swapped = dict(columns) | {"chose_man": columns["chose_woman"], "chose_woman": columns["chose_man"]}
    gap = SCORES["discrim_eval_gen/gap_gender/counted"]
    assert gap.value(swapped) == pytest.approx(gap.value(columns))
    assert SCORES["discrim_eval_gen/share/man"].value(swapped) == SCORES["discrim_eval_gen/share/woman"].value(columns)
