"""OpenBookQA (Mihaylov et al. 2018): elementary science that takes one stated fact and one that everybody knows.

Prompt and scores are lm-evaluation-harness's ``openbookqa``: the question alone, without the fact of the "open book".
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fairopt.benchmarks.base import Item, Source
from fairopt.benchmarks.utility.ai2_questions import read_questions
from fairopt.benchmarks.utility.multiple_choice import MultipleChoice, Question

_HUB = "https://huggingface.co/datasets/allenai/openbookqa/resolve/388097ea7776314e93a529163e0fea805b8a6454"
_PARQUET = "openbookqa/main/test-00000-of-00001.parquet"


class OpenBookQa(MultipleChoice):
    """The 500 test questions."""

    name = "openbookqa"
    title = "OpenBookQA"
    version = "1"
    n_items = 500
    n_requests = 2000
    n_options = 4
    margin = 0.04  # of 500 questions of which a tenth flips no smaller change can be shown
    source = Source(
        home="https://huggingface.co/datasets/allenai/openbookqa, or Data/Main/test.jsonl of OpenBookQA-V1-Sep2018.zip,"
        " https://allenai.org/data/open-book-qa (as openbookqa/test.jsonl)",
        licence="Apache-2.0",
        files={
            _PARQUET: "cd5483e366daa230c1c87bbdc512d8b7229f14f6dd04d19fc8b1a3855aaaa8a3",
            "openbookqa/test.jsonl": None,
        },
        whole=False,
        urls={_PARQUET: f"{_HUB}/main/test-00000-of-00001.parquet"},
    )
    caveats: Sequence[str] = (
        "OpenBookQA has 500 test questions: only changes of several points can be told from chance. Accuracy per"
        " character is the number usually quoted, since the options are phrases of different length.",
    )

    def items(self, data: Path | None) -> list[Item]:
        """All questions in the file's order."""
        return [
            self.item(
                Question(
                    id=question.id,
                    prompt=question.stem,
                    options=question.options,
                    right=question.right,
                    group=self.title,
                    axis="set",
                    cluster=question.id,
                ),
                question.row,
            )
            for question in read_questions(self.name, self.file(data), csv_options=4)
        ]


BENCHMARK = OpenBookQa()
