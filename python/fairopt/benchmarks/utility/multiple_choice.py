"""Multiple choice as lm-evaluation-harness scores it: the option whose text is the likeliest after the prompt.

``<name>/acc`` compares summed log-likelihoods, ``<name>/acc_norm`` divides each by the option's characters; of equal
options the first is chosen. ``<name>/bits_per_byte`` is what the right option costs: it moves before an answer flips.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from fairopt.benchmarks.ask import Answer, LogLikelihood
from fairopt.benchmarks.base import Benchmark, Columns, Item, Metric, verified
from fairopt.benchmarks.factor import CHAT, Factor
from fairopt.benchmarks.rows import Row
from fairopt.metrics import answer_bits_per_byte, choice_confidence, choice_correct, choice_lead, choices

ORDER = Factor(
    "given",
    "order in which the options are printed",
    ("reversed",),
    pattern=r"shuffled:\d{1,9}",
    form="shuffled:SEED, drawn for each item by itself",
)

Table = Callable[[Columns], npt.NDArray[np.float64]]


@dataclass(frozen=True)
class Question:
    """One item before its prompt is a request."""

    id: str
    prompt: str  # ends where the answer begins
    options: Sequence[str]  # what the model may answer, without the space before it
    right: int  # index into the options
    group: str
    axis: str
    cluster: str
    fields: Mapping[str, str | int | float] = field(default_factory=dict)


class MultipleChoice(Benchmark):
    """Items of up to :attr:`n_options` options, each a continuation of the item's prompt."""

    n_options: int
    per_character: bool = True  # whether options differ in length, so that `acc_norm` is another number
    margin: float = 0.02  # default limit of the accuracy
    group_margins: tuple[float, float] | None = None  # small, large; None: all items are one group without a limit
    factors: Mapping[str, Factor] = MappingProxyType({"chat": CHAT})

    def __init__(self, levels: Mapping[str, str] = MappingProxyType({})) -> None:
        super().__init__(levels)
        self.ask = LogLikelihood(chat=self.levels["chat"] == "on")
        self.metrics = self.declared()

    def declared(self) -> tuple[Metric, ...]:
        """Accuracy, which is gated, and what is described beside it."""
        summed, per_character = log_likelihoods(self.n_options), _per_character(self.n_options)
        normalised = self.accuracy("acc_norm", "Accuracy per character", per_character, instead_of=f"{self.name}/acc")
        return (self.accuracy("acc", "Accuracy", summed), *([normalised] if self.per_character else []), self.bits())

    def bits(self) -> Metric:
        """What the right option costs."""
        return Metric(
            id=f"{self.name}/bits_per_byte",
            title="Bits per byte of the right answer",
            kind="continuous",
            unit="bits",
            harm="higher",
            value=_bits(log_likelihoods(self.n_options)),
            range=(0.0, math.inf),
            gated=False,
        )

    def accuracy(self, name: str, title: str, scores: Table, *, instead_of: str = "") -> Metric:
        """Share of items whose best option by these scores is the right one."""
        small, large = self.group_margins or (self.margin, self.margin)
        return Metric(
            id=f"{self.name}/{name}",
            title=title,
            kind="binary",
            unit="share",
            harm="lower",
            value=lambda columns: choice_correct(scores(columns), columns["right"]),
            preference=lambda columns: choice_lead(scores(columns), columns["right"]),
            range=(0.0, 1.0),
            gated=not instead_of,
            instead_of=instead_of,
            margin=self.margin,
            group_margin=small,
            large_group_margin=large,
            ungated_groups=frozenset() if self.group_margins else frozenset({self.title}),
        )

    def file(self, data: Path | None) -> Path:
        """The first of its files that is there; raises :class:`~fairopt.errors.InputError` without any."""
        assert self.source is not None
        return next(iter(verified(self.name, self.source, data).values()))

    def item(self, question: Question, row: Row) -> Item:
        """The question as requests. Raises :class:`~fairopt.errors.InputError`, by its row, for too many options."""
        if not 2 <= len(question.options) <= self.n_options:
            raise row.error("choices", f"from 2 to {self.n_options} options", list(question.options))
        lengths = {
            f"chars_{k}": len(question.options[k]) if k < len(question.options) else 1 for k in range(self.n_options)
        }
        return Item(
            id=question.id,
            group=question.group,
            axis=question.axis,
            cluster=question.cluster,
            requests=tuple((question.prompt, f" {option}") for option in question.options),
            fields={
                **question.fields,
                "n_options": len(question.options),
                "right": question.right,
                "bytes_right": len(question.options[question.right].encode()),
                **(lengths if self.per_character else {}),
            },
        )

    def evidence(self, item: Item, answers: Sequence[Answer]) -> dict[str, float | int | str]:
        """Log-likelihood of each option in nats, ``-inf`` for those that the item does not have."""
        missing = [-math.inf] * (self.n_options - len(answers))
        return {f"ll_{k}": ll for k, ll in enumerate([answer.ll for answer in answers] + missing)}

    def confidence(self, columns: Columns) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
        """Softmax over the summed log-likelihoods: probability of the best option, and whether it is right."""
        scores = log_likelihoods(self.n_options)(columns)
        return choice_confidence(scores), choices(scores) == columns["right"]


def log_likelihoods(n_options: int, prefix: str = "ll") -> Table:
    """[items, options], nats."""
    return lambda columns: np.stack([columns[f"{prefix}_{k}"] for k in range(n_options)], axis=1).astype(np.float64)


def _per_character(n_options: int) -> Table:
    summed = log_likelihoods(n_options)

    def scores(columns: Columns) -> npt.NDArray[np.float64]:
        characters = np.stack([columns[f"chars_{k}"] for k in range(n_options)], axis=1)
        return np.asarray(summed(columns) / characters)

    return scores


def _bits(scores: Table) -> Table:
    """Of the right answer."""

    def value(columns: Columns) -> npt.NDArray[np.float64]:
        right = np.asarray(columns["right"])
        ll = np.take_along_axis(scores(columns), right[:, None], axis=1)[:, 0]
        return answer_bits_per_byte(ll, columns["bytes_right"])

    return value


def printed(order: str, item_id: str, options: Sequence[str], right: int) -> tuple[list[str], int]:
    """The options at a level of :data:`ORDER`, and the index of the right one among them."""
    places = list(range(len(options)))
    if order == "reversed":
        places.reverse()
    elif order != "given":
        seed = order.removeprefix("shuffled:")
        places.sort(key=lambda place: hashlib.sha256(f"{seed}/{item_id}/{place}".encode()).digest())
    return [options[place] for place in places], places.index(right)


def lettered(options: Sequence[str]) -> str:
    """``A. first\\nB. second\\n...``."""
    return "\n".join(f"{letter}. {option}" for letter, option in zip(letters(options), options, strict=True))


def letters(options: Sequence[str]) -> str:
    """``ABCD`` for four options."""
    return "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: len(options)]
