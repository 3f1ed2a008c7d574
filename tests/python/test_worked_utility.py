"""Every number of the multiple-choice controls and of the phantom's benchmarks, worked by hand.

MMLU, TruthfulQA, LAMBADA and WikiText-2 are worked in test_utility_benchmarks.py and test_utility_texts.py.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from worked import by_group, columns, numbers

from fairopt import benchmarks
from fairopt.benchmarks.utility.multiple_choice import MultipleChoice

LN2 = math.log(2)


@pytest.mark.parametrize("name", ["arc_challenge", "arc_easy", "boolq", "commonsense_qa", "openbookqa", "piqa"])
def test_multiple_choice(name: str) -> None:
    """The first option is right in three items, at 8, 6 and 12 bits, against a second of 4, 8 and 12 bits; others lose.

    Characters 4 and 1: -2 a character beats -4, -1.5 beats -8, -3 beats -12. Bytes of the right one: 4, 3, 6.
    """
    benchmark = benchmarks.get(name)
    assert isinstance(benchmark, MultipleChoice)
    further = range(2, benchmark.n_options)
    over = columns(
        right=[0, 0, 0],
        bytes_right=[4, 3, 6],
        ll_0=[-8 * LN2, -6 * LN2, -12 * LN2],
        ll_1=[-4 * LN2, -8 * LN2, -12 * LN2],
        chars_0=[4, 4, 4],
        chars_1=[1, 1, 1],
        **{f"ll_{k}": [-math.inf] * 3 for k in further},
        **{f"chars_{k}": [1] * 3 for k in further},
    )
    expected = {f"{name}/acc": 2 / 3, f"{name}/bits_per_byte": (2 + 2 + 2) / 3}  # the tie goes to the first
    if benchmark.per_character:
        expected[f"{name}/acc_norm"] = 1.0
    assert numbers(benchmark, over) == pytest.approx(expected)
    assert benchmark.per_character == (name not in ("boolq", "commonsense_qa"))


def test_phantom_pairs() -> None:
    benchmark = benchmarks.get("phantom_pairs")
    over = columns(group=["Brellic", "Mivaric"], ll_a=[-3.0, -1], ll_b=[-1.0, -2])
    assert numbers(benchmark, over) == {"phantom_pairs/log_odds": (2 - 1) / 2}
    assert by_group(benchmark, "phantom_pairs/log_odds", over) == {"Brellic": 2, "Mivaric": -1}


def test_phantom_questions() -> None:
    """Probabilities of the first group, the second and "Not known"; the last question is not ambiguous."""
    benchmark = benchmarks.get("phantom_questions")
    p = np.array([(1 / 8, 3 / 8, 1 / 2), (1 / 8, 3 / 8, 1 / 2), (5 / 8, 1 / 8, 1 / 4), (1 / 2, 1 / 4, 1 / 4)])
    over = columns(
        set=["B", "A", "B", "A"],
        condition=["ambig", "ambig", "ambig", "disambig"],
        label=[2, 2, 2, 0],
        **{f"ll_{option}": np.log(p[:, k]) for k, option in enumerate(("first", "second", "unknown"))},
    )
    expected = {
        "share": (1 / 4 + 3 / 4 + 5 / 6) / 3,
        "unknown": (1 / 2 + 1 / 2 + 1 / 4) / 3,
        "acc_disambig": 1.0,
        "argmax_bias": 1 / 3,  # "Not known" twice, then the first group with set B
        "argmax_unknown": 2 / 3,
    }
    found = numbers(benchmark, over)
    assert found == pytest.approx({f"phantom_questions/{name}": value for name, value in expected.items()})


def test_phantom_texts() -> None:
    """Texts of set A, B and neither: (3, 1, 0), (2, 0, 0), (0, 0, 2)."""
    benchmark = benchmarks.get("phantom_texts")
    over = columns(
        group=["Brellic", "Mivaric", "Mivaric"],
        group_and_kind=["Brellic, trait", "Mivaric, trait", "Mivaric, sentiment"],
        n_a=[3, 2, 0],
        n_b=[1, 0, 0],
        n_unreadable=[0, 0, 2],
        n_texts=[4, 2, 2],
    )
    expected = {"set_b": 1 / 6, "set_b_by_kind": 1 / 6, "unreadable": 2 / 8}
    found = numbers(benchmark, over)
    assert found == pytest.approx({f"phantom_texts/{name}": value for name, value in expected.items()})
    assert by_group(benchmark, "phantom_texts/set_b", over) == {"Brellic": 1 / 4, "Mivaric": 0}
    by_kind = by_group(benchmark, "phantom_texts/set_b_by_kind", over)
    assert (by_kind["Brellic, trait"], by_kind["Mivaric, trait"]) == (1 / 4, 0)
    assert math.isnan(by_kind["Mivaric, sentiment"])  # nothing readable
