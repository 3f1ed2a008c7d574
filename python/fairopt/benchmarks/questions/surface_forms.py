"""A word that a model may write in several ways: its probability is that of all of them together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fairopt.benchmarks.ask import Answer


def forms(word: str) -> tuple[str, ...]:
    """``yes``, ``Yes``, ``YES``, and each after a space: no one a beginning of another, so that probabilities add."""
    written = (word, word.capitalize(), word.upper())
    return (*written, *(f" {form}" for form in written))


def merged(answers: Sequence[Answer]) -> float:
    """Log of the summed probabilities of continuations; NaN where one has no score."""
    with np.errstate(invalid="ignore"):
        return float(np.logaddexp.reduce([answer.ll for answer in answers]))
