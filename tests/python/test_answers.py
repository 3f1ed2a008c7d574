"""Answers of every kind come back from their table as they were."""

from __future__ import annotations

from typing import Any

import pytest

from fairopt.audit.answers import from_table, to_table
from fairopt.benchmarks import Answer, Cosine, Text, Words

TEXT = Text("a b", 3, -1.5, "end", -2.5, 3, {"vader/compound": 0.25})


@pytest.mark.parametrize(
    "given",
    [
        [[Answer(-1.25, 2, True), Answer(-0.1, 1)], [Answer(0.0, 0)]],
        [[Cosine(0.1), Cosine(-1 / 3)], [Cosine(1.0)]],
        [[Words(("a", "", "ü"))], [Words(())]],
        [[(TEXT, TEXT)], [(TEXT,)]],
    ],
    ids=["answers", "cosines", "words", "texts"],
)
def test_round_trip(given: list[list[Any]]) -> None:
    assert from_table(to_table(["one", "two"], given)) == (["one", "two"], given)
