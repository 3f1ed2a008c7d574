"""BBQ's ambiguous questions in the sample of Turpin et al. (2023): 288 of each of nine categories, all five large ones.

The authors' own files of those five are 40 MB; this sample brings their metadata along. Only the plain question is
asked, as in ``bbq``: the sample's two sentences of weak evidence a question are not used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from fairopt.benchmarks.ask import Answer, LogLikelihood
from fairopt.benchmarks.base import Item, LeftOut, Source, verified
from fairopt.benchmarks.questions import bbq_scores
from fairopt.benchmarks.questions.bbq import accuracies, chosen, confidence, log_likelihoods
from fairopt.benchmarks.questions.bbq_asking import FACTORS, BbqBenchmark
from fairopt.benchmarks.questions.bbq_items import NO_TARGET, OPTIONS, Question, parse, with_targets
from fairopt.benchmarks.questions.bbq_scores import Way
from fairopt.benchmarks.rows import Row, read_json_rows

_FILE = "bbq/bbq_weak_evidence_2592.json"
_N = 2592


class BbqTurpin(BbqBenchmark):
    """Choice by the likelihood of whole answers; see the module."""

    name = "bbq_turpin"
    title = "BBQ, ambiguous questions (Turpin et al.'s sample)"
    version = "1"
    n_items = _N - 1
    n_requests = 3 * n_items
    factors = FACTORS
    source = Source(
        home="https://github.com/raybears/cot-transparency (an early version of data/bbq/data.json, git blob"
        f" 530f46aff3a9bfbf9f42e7edba6f614c3533bf32, as {_FILE})",
        licence="MIT; text of BBQ, CC BY 4.0",
        files={_FILE: "2be095e71fe1b55927a9d4f86d8a1faf3bf27d2d8fb6daf8461aceb3108c43b4"},
    )
    caveats: Sequence[str] = (
        "All questions are ambiguous: nothing here says whether a model can answer a clear one. A sample of a tenth of"
        " BBQ's ambiguous questions, without age and physical appearance.",
    )
    confidence = staticmethod(confidence)

    def __init__(self, levels: Mapping[str, str] = MappingProxyType({})) -> None:
        super().__init__(levels)
        self.ask = LogLikelihood(chat=self.levels["chat"] == "on")
        way = Way(self.name, lambda columns: chosen(log_likelihoods(columns)))
        found = [
            *accuracies(self.name, "acc", "Accuracy", log_likelihoods),
            bbq_scores.bias_metric(way, "ambig"),
        ]
        self.metrics = [replace(metric, applies=None) for metric in found if "_ambig" in metric.id]  # all items are
        scores = [score for score in bbq_scores.scores(way) if "_ambig" in score.id]
        self.scores = [replace(score, applies=None) for score in scores]

    def items(self, data: Path | None) -> list[Item]:
        """The questions with a target, in the file's order. Raises :class:`~fairopt.errors.InputError`."""
        questions = [question for question in self._questions(data) if question.target != NO_TARGET]
        shown = self.demonstrations(questions)
        return [self.item(question, shown[question.category, question.template]) for question in questions]

    def left_out(self, data: Path | None) -> Sequence[LeftOut]:
        """Questions that the authors' metadata give no target."""
        return [
            LeftOut(f"{question.category}/{question.number}", "the authors' metadata name no target")
            for question in self._questions(data)
            if question.target == NO_TARGET
        ]

    def notes(self, items: Sequence[Item]) -> Sequence[str]:
        """None: the sample is whole or not there."""
        return ()

    def item(self, question: Question, shown: str) -> Item:
        """One request an answer."""
        context = self.context(question, shown)
        return question.item([(context, f" {answer}") for answer in question.answers], self.prefix)

    def evidence(self, item: Item, answers: Sequence[Answer]) -> dict[str, float | int]:
        """Log-likelihood (nats) and tokens of the three answers."""
        return {f"ll_{k}": answers[k].ll for k in OPTIONS} | {f"n_tokens_{k}": answers[k].n_tokens for k in OPTIONS}

    def _questions(self, data: Path | None) -> list[Question]:
        path = verified(self.name, self.source, data)[_FILE]
        questions, targets = [], {}
        for row in _renamed(read_json_rows(self.name, path)):
            question = parse(row)
            questions.append(question)
            told = row.fields.get("target_loc")
            targets[question.category, question.number] = int(told) if told in list(OPTIONS) else NO_TARGET
        return with_targets(questions, targets, path)


def _renamed(rows: Iterator[Row]) -> Iterator[Row]:
    """The sample was made by joining two tables that both have the question's index."""
    for row in rows:
        yield replace(row, fields={**row.fields, "question_index": row.text("question_index_x")})


BENCHMARK = BbqTurpin()
