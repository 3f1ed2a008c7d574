"""Questions of the Allen Institute for AI (ARC, OpenBookQA) and CommonsenseQA: all come in the same three layouts.

Their own JSON lines: ``{id, question: {stem, choices: [{text, label}]}, answerKey}``. The Hugging Face hub's Parquet:
``{id, question or question_stem, choices: {text: [], label: []}, answerKey}``. CSV without a head, as copies have it:
question, options, letter.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fairopt.benchmarks.rows import Row, read_csv, read_jsonl, read_parquet
from fairopt.benchmarks.utility.multiple_choice import letters


@dataclass(frozen=True)
class Ai2Question:
    """One question with its answer key resolved."""

    row: Row  # where it stands, for errors
    id: str
    stem: str
    options: list[str]
    right: int


def read_questions(benchmark: str, path: Path, *, csv_options: int) -> Iterator[Ai2Question]:
    """All questions of a file. Raises :class:`~fairopt.errors.InputError` naming file, line and field."""
    seen: set[str] = set()
    for question in _read(benchmark, path, csv_options):
        if question.id in seen:
            raise question.row.error("id", "distinct within the file", question.id)
        seen.add(question.id)
        yield question


def _read(benchmark: str, path: Path, csv_options: int) -> Iterator[Ai2Question]:
    if path.suffix == ".parquet":
        yield from map(_of_hub, read_parquet(benchmark, path))
    elif path.suffix == ".jsonl":
        yield from map(_of_jsonl, read_jsonl(benchmark, path))
    else:
        names = letters(" " * csv_options)
        for index, row in enumerate(read_csv(benchmark, path, columns=("question", *names, "answer"))):
            right = names.index(row.one_of("answer", names))
            yield Ai2Question(row, f"{index:04d}", row.text("question"), [row.text(name) for name in names], right)


def _of_jsonl(row: Row) -> Ai2Question:
    question = row.row("question")
    choices = question.rows("choices")
    options, labels = [choice.text("text") for choice in choices], [choice.text("label") for choice in choices]
    return Ai2Question(row, row.text("id"), question.text("stem"), options, _right(row, labels))


def _of_hub(row: Row) -> Ai2Question:
    choices = row.row("choices")
    options, labels = choices.texts("text"), choices.texts("label")
    if len(options) != len(labels) or not all(option.strip() for option in options):
        raise row.error("choices", "a text that is not blank for each label", row.fields["choices"])
    stem = row.text("question_stem" if "question_stem" in row.fields else "question")
    return Ai2Question(row, row.text("id"), stem, options, _right(row, labels))


def _right(row: Row, labels: list[str]) -> int:
    """Place of the answer key, a letter or in some of ARC's questions a digit."""
    key = row.text("answerKey").strip()
    if labels.count(key) != 1:
        raise row.error("answerKey", f"exactly one of {', '.join(labels)}", key)
    return labels.index(key)
