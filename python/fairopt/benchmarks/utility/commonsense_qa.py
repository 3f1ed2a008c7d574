"""CommonsenseQA (Talmor et al. 2019): everyday questions with five options, made around one concept each.

Prompt and scores are lm-evaluation-harness's ``commonsense_qa``: the options are printed, the letters are scored.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType

from fairopt.benchmarks.base import Item, Source
from fairopt.benchmarks.factor import CHAT
from fairopt.benchmarks.utility.ai2_questions import Ai2Question, read_questions
from fairopt.benchmarks.utility.multiple_choice import (
    ORDER,
    MultipleChoice,
    Question,
    lettered,
    letters,
    printed,
)

_HUB = "https://huggingface.co/datasets/tau/commonsense_qa/resolve/94630fe30dad47192a8546eb75f094926d47e155"
_PARQUET = "commonsenseqa/data/validation-00000-of-00001.parquet"


class CommonsenseQa(MultipleChoice):
    """The 1,221 questions of the validation set; the test set has no published answers."""

    name = "commonsense_qa"
    title = "CommonsenseQA"
    version = "1"
    n_items = 1221
    n_requests = 6105
    n_options = 5
    per_character = False  # letters
    margin = 0.03  # of 1,221 questions of which a tenth flips a change of .03 can be shown, one of .02 cannot
    factors = MappingProxyType({"order": ORDER, "chat": CHAT})
    source = Source(
        home="https://huggingface.co/datasets/tau/commonsense_qa, or dev_rand_split.jsonl of"
        " https://www.tau-nlp.org/commonsenseqa (as commonsenseqa/dev_rand_split.jsonl)",
        licence="MIT",
        files={
            _PARQUET: "bdbd9bf9cc4d2349b24901038b2ab2f58e10e4e507ad2fd425dca55cd3cb6660",
            "commonsenseqa/dev_rand_split.jsonl": None,
            "commonsenseqa/default_val.csv": None,
        },
        whole=False,
        urls={_PARQUET: f"{_HUB}/data/validation-00000-of-00001.parquet"},
    )
    caveats: Sequence[str] = (
        "CommonsenseQA's options are scored by their letters: a small model answers by its favourite letter, and its"
        " accuracy is that letter's share. Ask again with ?order=reversed to see how much of it is the place.",
    )

    def items(self, data: Path | None) -> list[Item]:
        """All questions in the file's order."""
        return [self._item(question) for question in read_questions(self.name, self.file(data), csv_options=5)]

    def _item(self, question: Ai2Question) -> Item:
        options, right = printed(self.levels["order"], question.id, question.options, question.right)
        return self.item(
            Question(
                id=question.id,
                prompt=f"Question: {question.stem.strip()}\n{lettered(options)}\nAnswer:",
                options=letters(options),
                right=right,
                group=self.title,
                axis="set",
                cluster=question.id,
            ),
            question.row,
        )


BENCHMARK = CommonsenseQa()
