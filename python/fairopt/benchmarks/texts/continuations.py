"""What benchmarks share that let a model continue prompts and put a number on the continuations alone.

The headline is the share of harmful texts: those at the scorer's own threshold or beyond. Beside it stand the mean
score, with several texts a prompt the expected worst score and the share of prompts with at least one harmful text, the
gap between groups. The audit reports the health of the texts beside them: a model that falls apart writes nothing
harmful either.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from fairopt import scorers
from fairopt.benchmarks.ask import Generate, Text
from fairopt.benchmarks.base import Benchmark, Item
from fairopt.benchmarks.factor import CHAT, DECODING, SEED, Factor, samples
from fairopt.benchmarks.texts.number_scores import (
    gap_scores,
    human_scores,
    metrics_of,
    number_columns,
    scores_of,
)
from fairopt.errors import InputError
from fairopt.metrics.text_scores import UNREADABLE
from fairopt.scorers import Number

_SCORERS = ("vader", "words:profanity", "words:ldnoobw", "words:gender")


def continuation_factors(scorer: str, tokens: str = "20") -> Mapping[str, Factor]:
    """The choices that all these benchmarks leave open, with the benchmark's own defaults."""
    return MappingProxyType(
        {
            "scorer": Factor(
                scorer,
                "what puts a number on the texts",
                tuple(name for name in _SCORERS if name != scorer),
                r"(words|onnx|hf|own):.+",
                "words:FILE, onnx:PATH, hf:PATH or own:NAME",
            ),
            "decoding": DECODING,
            "tokens": Factor(
                tokens,
                "new tokens of a text: the most, or the fewest and the most",
                pattern=r"([1-9]\d{0,3}-)?[1-9]\d{0,3}",
                form="MAX or MIN-MAX",
            ),
            "seed": SEED,
            "chat": CHAT,
        }
    )


class Continuations(Benchmark):
    """A benchmark whose items are prompts; see the module. Subclasses give :meth:`prompts` and the declarations.

    Evidence of an item: ``n_texts``; ``text``, its most harmful one by the scorer's headline number; for each number of
    the scorer ``<number>``, ``<number>_worst``, ``<number>_harmful``, ``<number>_scored``
    (:func:`fairopt.metrics.text_scores`); how many texts are up to -.5, from .5 on, and beyond the threshold on the
    other side for a signed one (``_low``, ``_high``, ``_opposite``), or have this class for the likeliest one
    (``_likeliest``); behind ``human_`` the same for what a person wrote after the prompt.
    """

    factors: Mapping[str, Factor] = continuation_factors("vader")
    stop: tuple[str, ...] = ()
    gaps = True  # whether the difference between groups of one axis means something
    compared = ("axis", "group")  # columns: whose values are set apart, and whose values are compared within them
    human = ""  # who wrote the continuation in the item's field "human", where the data has one

    def __init__(self, levels: Mapping[str, str] = MappingProxyType({})) -> None:
        super().__init__(levels)
        self._scorer = scorers.get(self.levels["scorer"])
        self._human: dict[str, dict[str, float | int]] = {}
        self.ask = _ask(self, self._scorer.name)
        self.caveats = (*type(self).caveats, *self._scorer.caveats)
        place, first = f"{self.name}/{self._scorer.id}", self._scorer.numbers[0]
        self.metrics = metrics_of(place, first, several=self.ask.samples is not None)
        self.scores = [
            *scores_of(place, self._scorer),
            *(gap_scores(place, first) if self.gaps else ()),
            *(human_scores(place, first, self.human) if self.human else ()),
        ]

    def items(self, data: Path | None) -> list[Item]:
        """All prompts. Raises :class:`~fairopt.errors.InputError` for a missing or malformed file."""
        found = self.prompts(data)
        compared = [tuple(_column(item, name) for name in self.compared) for item in found]
        numbers = [
            {name: number for number, name in enumerate(dict.fromkeys(own))} for own in zip(*compared, strict=True)
        ]
        return [
            replace(item, fields={**item.fields, "gap_axis": numbers[0][axis], "gap_group": numbers[1][group]})
            for item, (axis, group) in zip(found, compared, strict=True)
        ]

    @abstractmethod
    def prompts(self, data: Path | None) -> list[Item]:
        """All items, each with one request ``(prompt, "")``, in a fixed order."""

    def evidence(self, item: Item, answers: Sequence[Sequence[Text]]) -> dict[str, float | int | str]:
        """See the class."""
        (texts,) = answers
        scores = {n.name: [t.scores[f"{self._scorer.id}/{n.name}"] for t in texts] for n in self._scorer.numbers}
        return {
            "n_texts": len(texts),
            "text": texts[_most_harmful(scores, self._scorer.numbers[0])].text,
            **number_columns(scores, self._scorer),
            **(self._of_human(str(item.fields["human"])) if self.human else {}),
        }

    def _of_human(self, text: str) -> Mapping[str, float | int]:
        if text not in self._human:
            scores = {name: list(found) for name, found in self._scorer.score([text]).items()}
            columns = number_columns(scores, self._scorer)
            self._human[text] = {f"human_{name}": value for name, value in columns.items()}
        return self._human[text]


def _column(item: Item, name: str) -> str:
    return str(item.fields[name]) if name in item.fields else str(getattr(item, name))


def _ask(benchmark: Continuations, scorer: str) -> Generate:
    levels = benchmark.levels
    *fewest, most = map(int, levels["tokens"].split("-"))
    if fewest and fewest[0] > most:
        raise InputError(f"{benchmark.name}: tokens must be MIN-MAX with MIN at most MAX, got {levels['tokens']!r}")
    return Generate(
        max_new_tokens=most,
        min_new_tokens=fewest[0] if fewest else 0,
        samples=samples(levels["decoding"]),
        stop=benchmark.stop,
        seed=int(levels["seed"]),
        scorers=(scorer,),
        chat=levels["chat"] == "on",
    )


def _most_harmful(scores: Mapping[str, Sequence[float]], number: Number) -> int:
    found = np.nan_to_num(np.array(scores[number.name]), nan=UNREADABLE)
    return int(found.argmin() if number.harm == "lower" else found.argmax())
