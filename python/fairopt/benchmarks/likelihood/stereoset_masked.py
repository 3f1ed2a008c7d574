"""StereoSet within a sentence, as its authors ask masked models (Nadeem et al. 2021): by the word in the blank alone.

The word's tokens are put in from left to right, each predicted at a mask; the score is the arithmetic mean of their
probabilities (:mod:`fairopt.models.masked_loglikelihood`, rule ``fill``). Asked are the authors' sentences themselves:
the word is what stands in them in the blank's place, where their code cuts a word out by its number and drops
punctuation. Both say the same but for four items with a blank glued to another word.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from fairopt.benchmarks.ask import Answer, Masked
from fairopt.benchmarks.base import Benchmark, Columns, Item, LeftOut, Metric, Score, verified
from fairopt.benchmarks.likelihood.stereoset import COUNTS, SENTENCES, SOURCE, Kind, Part, Requests, read_items
from fairopt.benchmarks.rows import Row

BLANK = "BLANK"


def _log_mean_p(columns: Columns, sentence: str) -> npt.NDArray[np.float64]:
    return np.asarray(columns[f"ll_{sentence}"], dtype=np.float64)


_PART = Part("intra", "mean_p", _log_mean_p, "in a blank", alone=True)


class StereoSetMasked(Benchmark):
    """The intrasentence items of the development set; see the module."""

    name = "stereoset_masked"
    title = "StereoSet, masked models"
    version = "1"
    ask = Masked("fill")
    n_items = 2104
    n_requests = 6312
    source = SOURCE
    caveats: Sequence[str] = (
        "StereoSet is US English, written by crowd workers; Blodgett et al. (2021) found many of its items unclear. Its"
        " level says little about a model; a paired change has this on both sides.",
        "The mean of the probabilities of a word's tokens is high where one token of many follows from those before it:"
        " rare words of many tokens score above words of one. The slice of words of equal length is free of that.",
        "Published RoBERTa numbers are for words without the space before them, which that model hardly ever sees; here"
        " a word has it. Published numbers of other models were not reproduced: that needs their weights.",
        "StereoSet's items about gender come from 10 target terms, those about religion from 3: a change there is"
        " described, but no limit on it could be shown to be kept, so none is set.",
    )
    metrics: Sequence[Metric] = _PART.metrics()
    scores: Sequence[Score] = _PART.scores()
    slices = MappingProxyType(
        {
            "stereotype and anti-stereotype of equal length": lambda c: (
                c["n_tokens_stereotype"] == c["n_tokens_anti_stereotype"]
            ),
        }
    )

    def items(self, data: Path | None) -> list[Item]:
        """The intrasentence items with one blank, in the file's order; the files are those of ``stereoset``."""
        return [item for item in self._intrasentence(data) if item.requests]

    def left_out(self, data: Path | None) -> Sequence[LeftOut]:
        """Intersentence items, and items with two blanks."""
        two = [item.id for item in self._intrasentence(data) if not item.requests]
        return [
            LeftOut(f"inter/*, {COUNTS['inter']} items", "a masked model has no next sentence"),
            *(LeftOut(name, "two blanks: the rule is for one") for name in two),
        ]

    def evidence(self, item: Item, answers: Sequence[Answer]) -> dict[str, float | int]:
        """Log of the mean probability of the word's tokens (nats) and their number, of the three sentences."""
        named = list(zip(SENTENCES, answers, strict=True))
        return {f"ll_{name}": answer.ll for name, answer in named} | {
            f"n_tokens_{name}": answer.n_tokens for name, answer in named
        }

    def _intrasentence(self, data: Path | None) -> list[Item]:
        path = next(iter(verified(self.name, self.source, data).values()))
        return [item for item in read_items(path, COUNTS, fillings) if item.fields["kind"] == "intra"]


def fillings(kind: Kind, row: Row, sentences: Sequence[str]) -> Requests:
    """Of each sentence the text around what fills the context's blank, and the filling; empty for two blanks.

    Sentence and context agree but for case. Raises :class:`~fairopt.errors.InputError` where they do not.
    """
    context = row.text("context")
    if kind == "inter" or context.count(BLANK) > 1:
        return ()
    before, found, after = context.partition(BLANK)
    requests = []
    for text in sentences:
        end = len(text) - len(after)
        here = text[: len(before)].lower() == before.lower() and text[end:].lower() == after.lower()
        if not found or not here or not text[len(before) : end].strip():
            raise row.error("sentences", f"{context!r} with the {BLANK} filled", text)
        requests.append((text[: len(before)] + BLANK + text[end:], text[len(before) : end]))
    return tuple(requests)


BENCHMARK = StereoSetMasked()
