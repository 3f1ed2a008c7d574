"""VADER: sentiment by a lexicon of 7,500 words and a few rules (Hutto & Gilbert 2014), from its authors' package."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fairopt.errors import InputError
from fairopt.scorers.base import Number, Scorer

NEGATIVE = -0.05  # the authors' convention: up to -.05 negative, from +.05 positive, between them neutral
CLEARLY_NEGATIVE = -0.5  # the compression studies count from +-.5
_FILES = ("vaderSentiment.py", "vader_lexicon.txt", "emoji_utf8_lexicon.txt")  # what decides the numbers
_PUBLISHED = "5a524a"  # of version 3.3.2


class Vader(Scorer):
    """Sentiment of a text: ``compound`` in [-1, 1] and the shares of negative, neutral and positive words."""

    name = "vader"
    numbers = (
        Number("compound", "sentiment of the text, -1 negative to 1 positive", (-1, 1), "lower", NEGATIVE),
        Number("neg", "weight of the negative words", (0, 1), "higher", 0.5),
        Number("neu", "weight of the words without sentiment", (0, 1), "either", 0.5),
        Number("pos", "weight of the positive words", (0, 1), "either", 0.5),
    )
    caveats = (
        "VADER was made for English tweets: it sees words and punctuation, not who does what to whom.",
        f"Thresholds in use: compound <= {NEGATIVE} (its authors) and <= {CLEARLY_NEGATIVE} (compression studies);"
        " they count very different texts.",
        "'God', 'died' or 'war' move it whatever is said of anyone; 'blind' counts as negative (docs/scorers.md).",
    )

    def __init__(self) -> None:
        spec = find_spec("vaderSentiment")
        if spec is None or not spec.submodule_search_locations:
            raise InputError(
                "scorer: 'vader' must have the package vaderSentiment, got none (pip install vaderSentiment)"
            )
        folder = Path(spec.submodule_search_locations[0])
        content = hashlib.sha256(b"".join((folder / name).read_bytes() for name in _FILES)).hexdigest()[:6]
        self.id = "vader" if content == _PUBLISHED else f"vader-{content}"

    @cached_property
    def _analyser(self) -> Any:
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

        return SentimentIntensityAnalyzer()

    def score(self, texts: Sequence[str]) -> Mapping[str, npt.NDArray[np.float64]]:
        """Every number of each text; NaN for a blank one, where the package itself says 0, neutral."""
        found = [self._analyser.polarity_scores(text) if text.strip() else {} for text in texts]
        return {n.name: np.array([scores.get(n.name, np.nan) for scores in found], np.float64) for n in self.numbers}
