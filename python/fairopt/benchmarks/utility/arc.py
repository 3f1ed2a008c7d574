"""ARC (Clark et al. 2018): grade-school science questions, an easy and a challenge set, the latter those that retrieval
and word co-occurrence got wrong. Prompt and scores are lm-evaluation-harness's ``arc_easy`` and ``arc_challenge``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from fairopt.benchmarks.base import Item, LeftOut, Source
from fairopt.benchmarks.utility.ai2_questions import read_questions
from fairopt.benchmarks.utility.multiple_choice import MultipleChoice, Question

_HUB = "https://huggingface.co/datasets/allenai/ai2_arc/resolve/210d026faf9955653af8916fad021475a3f00453"


def arc_source(subset: str, files: Mapping[str, str | None]) -> Source:
    """Of one set, whose files are in order of preference: the hub's, the authors', a copy with fewer questions."""
    hub = f"arc/{subset}/test-00000-of-00001.parquet"
    return Source(
        home=f"https://huggingface.co/datasets/allenai/ai2_arc, or ARC-V1-Feb2018.zip of https://allenai.org/data/arc"
        f" ({subset}-Test.jsonl as arc/{subset}-Test.jsonl)",
        licence="CC BY-SA 4.0",
        files=files,
        whole=False,
        urls={hub: f"{_HUB}/{subset}/test-00000-of-00001.parquet"},
    )


class Arc(MultipleChoice):
    """One of the two sets, its test questions."""

    version = "1"
    n_options = 5
    caveats: Sequence[str] = (
        "ARC's questions are from US school tests of grades 3 to 9. A model's accuracy depends on the prompt: here it"
        " reads the question alone and each option's text is scored, without seeing the other options.",
    )

    def items(self, data: Path | None) -> list[Item]:
        """All test questions in the file's order."""
        path = self.file(data)
        return [
            self.item(
                Question(
                    id=question.id,
                    prompt=f"Question: {question.stem}\nAnswer:",
                    options=question.options,
                    right=question.right,
                    group=self.title,
                    axis="set",
                    cluster=question.id,
                ),
                question.row,
            )
            for question in read_questions(self.name, path, csv_options=4)
        ]

    def left_out(self, data: Path | None) -> Sequence[LeftOut]:
        """What the copy as CSV lacks: it holds questions of four options only, without the official ids."""
        path = self.file(data)
        if path.suffix != ".csv":
            return ()
        missing = self.n_items - sum(1 for _ in read_questions(self.name, path, csv_options=4))
        return (LeftOut(f"{missing} of {self.n_items} test questions", f"{path.name} holds questions of four options"),)
