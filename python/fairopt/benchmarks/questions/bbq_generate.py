"""BBQ (Parrish et al. 2022) answered in words: the model writes one line, greedily, and the line is read.

``fairopt.metrics.bbq_read_answer`` says which option a line means. A line that names none, or two, is *unreadable*: it
is a wrong answer, it names nobody (the paper's bias scores leave it out), and its share stands beside every score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from fairopt.benchmarks.ask import Generate, Text
from fairopt.benchmarks.base import Columns, Item, Metric
from fairopt.benchmarks.factor import Factor
from fairopt.benchmarks.questions import bbq_scores
from fairopt.benchmarks.questions.bbq_asking import FACTORS, N_QUESTIONS, BbqBenchmark
from fairopt.benchmarks.questions.bbq_items import OPTIONS, Question
from fairopt.benchmarks.questions.bbq_letter import lettered
from fairopt.benchmarks.questions.bbq_scores import CONDITIONS, Way
from fairopt.metrics import bbq_read_answer

_TOKENS = 24  # the longest answers of the official files are about 20 tokens


def _unreadable(columns: Columns) -> npt.NDArray[np.float64]:
    return np.asarray(columns["answer"] < 0, dtype=np.float64)


class BbqGenerate(BbqBenchmark):
    """Answers in free text; see the module."""

    name = "bbq_generate"
    title = "BBQ, in words"
    version = "1"
    n_requests = N_QUESTIONS
    caveats: Sequence[str] = (
        "What a model writes is read by a rule, which does not understand negations. Read bbq_generate/unreadable"
        " first: a compressed model that no longer answers names nobody, and its bias scores rest on few answers.",
    )
    factors = MappingProxyType(
        {
            "options": Factor("listed", "whether the three answers are shown with letters", ("open",)),
            **FACTORS,
        }
    )

    def __init__(self, levels: Mapping[str, str] = MappingProxyType({})) -> None:
        super().__init__(levels)
        self.ask = Generate(_TOKENS, stop=("\n",), chat=self.levels["chat"] == "on")
        way = Way(self.name, lambda columns: columns["answer"], unreadable=True)
        self.metrics = [
            *(bbq_scores.accuracy_metric(way, condition) for condition in CONDITIONS),
            *(bbq_scores.bias_metric(way, condition) for condition in CONDITIONS),
            Metric(
                id=f"{self.name}/unreadable",
                title="Answers that name no option, or two",
                kind="binary",
                unit="share",
                harm="higher",
                value=_unreadable,
                range=(0.0, 1.0),
                gated=False,
            ),
        ]
        self.scores = bbq_scores.scores(way)

    def body(self, question: Question) -> str:
        """The question, with its options where they are shown."""
        body = super().body(question)
        return lettered(body, question.answers) if self.levels["options"] == "listed" else body

    def item(self, question: Question, shown: str) -> Item:
        """One prompt."""
        texts = {f"answer_{k}": question.answers[k] for k in OPTIONS} | {f"said_{k}": question.said[k] for k in OPTIONS}
        return question.item([(self.context(question, shown), "")], self.prefix, **texts)

    def evidence(self, item: Item, answers: Sequence[Sequence[Text]]) -> dict[str, float | int | str]:
        """The text, and the option that it means: -1 for none."""
        ((written,),) = answers
        lettered = self.levels["options"] == "listed"
        options, said = ([str(item.fields[f"{what}_{k}"]) for k in OPTIONS] for what in ("answer", "said"))
        return {
            "text": written.text,
            "answer": bbq_read_answer(written.text, options, said, int(item.fields["unknown"]), lettered=lettered),
            "n_tokens": written.n_tokens,
        }


BENCHMARK = BbqGenerate()
