"""BoolQ (Clark et al. 2019): yes/no questions that people asked a search engine, each with a Wikipedia passage.

Prompt and answers are lm-evaluation-harness's ``boolq``. It takes the passages from SuperGLUE, which puts the article's
title before each (``title -- passage``); the authors' own file has title and passage apart, and they are joined alike,
which gives SuperGLUE's file to the byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fairopt.benchmarks.base import Item, Source
from fairopt.benchmarks.rows import Row, read_jsonl
from fairopt.benchmarks.utility.multiple_choice import MultipleChoice, Question

_SUPERGLUE = "boolq/val.jsonl"


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
        home="SuperGLUE, https://super.gluebenchmark.com (BoolQ/val.jsonl), or the authors' dev.jsonl of"
        " https://github.com/google-research-datasets/boolean-questions",
        licence="CC BY-SA 3.0",
        files={
            _SUPERGLUE: "0c86a5045886e5795fe9052003873f7d94b88ed3028a33007c51d99e44fd66d9",
            "boolq/dev.jsonl": None,
        },
        whole=False,
        urls={_SUPERGLUE: "https://dl.fbaipublicfiles.com/glue/superglue/data/v2/BoolQ.zip#BoolQ/val.jsonl"},
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
