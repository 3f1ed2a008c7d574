"""MMLU (Hendrycks et al. 2021): 14,042 exam questions in 57 subjects, four options each.

Prompt and scores are lm-evaluation-harness's ``mmlu``: the options are printed and the letters are scored. With
``?shots=5`` the five development questions of the subject stand before it with their answers, as in the paper. Groups
are the four categories of subjects; the subjects are described beside them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from fairopt.benchmarks.base import Columns, Item, Metric, Score, Source, verified
from fairopt.benchmarks.factor import CHAT, Factor
from fairopt.benchmarks.rows import Row, read_csv
from fairopt.benchmarks.utility.mmlu_subjects import SUBJECTS
from fairopt.benchmarks.utility.multiple_choice import (
    ORDER,
    MultipleChoice,
    Question,
    lettered,
    log_likelihoods,
    printed,
)
from fairopt.metrics import choice_correct

_LETTERS = "ABCD"
_COPY = "https://raw.githubusercontent.com/raybears/cot-transparency/f6874394ba80a439237e4d7581dddc30d40c1830/data"
_PASSAGE = "This question refers to the following information."


def _file(subject: str, split: str) -> str:
    return f"mmlu/{split}/{subject}_{split}.csv"


_FILES = {_file(subject, "test"): own.test_sha256 for subject, own in SUBJECTS.items()} | {
    _file(subject, "dev"): own.dev_sha256 for subject, own in SUBJECTS.items()
}


def _macro(columns: Columns) -> float:
    """Mean over subjects of the accuracy; NaN where an item has no score."""
    correct = choice_correct(log_likelihoods(4)(columns), columns["right"])
    subjects = np.asarray(columns["subject"])
    shares = [correct[subjects == subject].mean() for subject in np.unique(subjects)]
    return float(np.mean(shares)) if shares else float("nan")


class Mmlu(MultipleChoice):
    """All test questions of all subjects."""

    name = "mmlu"
    title = "MMLU"
    version = "1"
    n_items = 14042
    n_requests = 56168
    n_options = 4
    per_character = False  # letters
    group_margins = (0.05, 0.03)  # the smallest category has 3,018 items: of a tenth that flips .02 can be shown
    factors = MappingProxyType(
        {
            "shots": Factor("0", "worked examples before the question", ("5",)),
            "order": ORDER,
            "chat": CHAT,
        }
    )
    source = Source(
        home="https://github.com/hendrycks/test (data.tar); the files' addresses are those of a copy",
        licence="MIT",
        files=_FILES,
        urls={file: f"{_COPY}/{file}" for file in _FILES},
    )
    caveats: Sequence[str] = (
        "MMLU's letters are scored, not its answers: a small model answers by its favourite letter. Ask again with"
        " ?order=reversed to see how much of an accuracy is the place of the options.",
        "MMLU has wrong and unclear keys (Gema et al. 2024 found 6.5 %), most in virology; many models have read it.",
        "Five shots are long: a model with a short window loses the first of them, without an error.",
    )
    scores: Sequence[Score] = (
        Score("mmlu/acc_macro", "Accuracy, mean over subjects", _macro, (0.0, 1.0), 1.0, interval=True),
    )

    def declared(self) -> tuple[Metric, ...]:
        """Accuracy, gated for all and by category; the same by subject beside it."""
        first, *others = super().declared()
        by_subject = replace(first, id="mmlu/acc_by_subject", title="Accuracy by subject", by="subject", gated=False)
        return (first, by_subject, *others)

    def items(self, data: Path | None) -> list[Item]:
        """All questions, subject by subject in the files' order."""
        assert self.source is not None
        files = verified(self.name, self.source, data)
        return [item for subject in SUBJECTS for item in self._items(subject, files)]

    def _items(self, subject: str, files: dict[str, Path]) -> Iterator[Item]:
        said = f"The following are multiple choice questions (with answers) about {subject.replace('_', ' ')}.\n\n"
        if self.levels["shots"] == "5":
            for row in _rows(files[_file(subject, "dev")]):
                question, options, right = _parsed(row)
                said += f"{_asked(question, options)} {_LETTERS[right]}\n\n"
        first_of: dict[str, str] = {}
        for index, row in enumerate(_rows(files[_file(subject, "test")])):
            question, options, right = _parsed(row)
            name = f"{subject}/{index:04d}"
            shown, place = printed(self.levels["order"], name, options, right)
            # The questions of a history exam come in sets about one passage.
            shared = question.rpartition("\n")[0] if question.startswith(_PASSAGE) else "\n".join([question, *options])
            yield self.item(
                Question(
                    id=name,
                    prompt=said + _asked(question, shown),
                    options=_LETTERS,
                    right=place,
                    group=SUBJECTS[subject].category,
                    axis="category",
                    cluster=first_of.setdefault(shared, name),
                    fields={"subject": subject},
                ),
                row,
            )


def _rows(path: Path) -> Iterator[Row]:
    return read_csv(Mmlu.name, path, columns=("question", *_LETTERS, "answer"))


def _parsed(row: Row) -> tuple[str, list[str], int]:
    options = [row.text(letter) for letter in _LETTERS]
    return row.text("question").strip(), options, _LETTERS.index(row.one_of("answer", _LETTERS))


def _asked(question: str, options: Sequence[str]) -> str:
    return f"{question}\n{lettered(options)}\nAnswer:"


BENCHMARK = Mmlu()
