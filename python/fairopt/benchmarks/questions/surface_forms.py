"""A word that a model may write in several ways: its probability is that of all of them together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fairopt.benchmarks.ask import Answer
from fairopt.benchmarks.base import Metric


def forms(word: str) -> tuple[str, ...]:
    """``yes``, ``Yes``, ``YES``, and each after a space: no one a beginning of another, so that probabilities add."""
    written = (word, word.capitalize(), word.upper())
    return (*written, *(f" {form}" for form in written))


def merged(answers: Sequence[Answer]) -> float:
    """Log of the summed probabilities of continuations; NaN where one has no score."""
    with np.errstate(invalid="ignore"):
        return float(np.logaddexp.reduce([answer.ll for answer in answers]))


def outside_metric(name: str, title: str) -> Metric:
    """The probability of none of the words that were asked for, the column ``outside``: described, never gated."""
    return Metric(
        id=name,
        title=title,
        kind="continuous",
        unit="share",
        harm="higher",
        value=lambda c: np.asarray(c["outside"], dtype=np.float64),
        range=(0.0, 1.0),
        gated=False,
    )
