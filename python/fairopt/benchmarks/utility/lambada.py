"""LAMBADA (Paperno et al. 2016): the last word of a passage that people guess from the passage and not from its last
sentence. Two texts go by that name, and scores on them differ by several points, so the version is a factor.

``openai``: OpenAI's, with case, punctuation and quotes as written; lm-evaluation-harness's ``lambada_openai``.
``original``: the authors', lower-cased and in tokens; its ``lambada_standard``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from fairopt.benchmarks.ask import Answer
from fairopt.benchmarks.base import Benchmark, Columns, Item, Metric, Score, Source, verified
from fairopt.benchmarks.factor import Factor
from fairopt.benchmarks.rows import Row, read_jsonl, read_lines
from fairopt.metrics import perplexity

_OPENAI, _ORIGINAL = "lambada/lambada_test.jsonl", "lambada/lambada_test_plain_text.txt"
_HUB = "https://huggingface.co/datasets/EleutherAI/lambada_openai/resolve/900124bf3b8235c6daf21033af9948b3f07346c4"
_COPY = "https://raw.githubusercontent.com/Victorwz/VaLM/161accd153943a502ec7e3983c448dda07f9d975"
_SOURCES = {
    "openai": Source(
        home="https://huggingface.co/datasets/EleutherAI/lambada_openai (data/lambada_test.jsonl)",
        licence="MIT; LAMBADA CC BY 4.0",
        files={_OPENAI: "4aa8d02cd17c719165fc8a7887fddd641f43fcafa4b1c806ca8abc31fabdb226"},
        urls={_OPENAI: f"{_HUB}/data/lambada_test.jsonl"},
    ),
    "original": Source(
        home="https://zenodo.org/record/2630551 (lambada-dataset.tar.gz, lambada_test_plain_text.txt)",
        licence="CC BY 4.0",
        files={_ORIGINAL: "4ab6062b68422bf2e83653d367c9765d42404f7ec21b8b59b6518b45606aaef2"},
        urls={_ORIGINAL: f"{_COPY}/data/lambada/lambada_test_plain_text.txt"},
    ),
}


def _greedy(columns: Columns) -> npt.NDArray[np.float64]:
    return np.where(np.isnan(columns["ll"]), np.nan, columns["greedy"]).astype(np.float64)


def _nats(columns: Columns) -> npt.NDArray[np.float64]:
    return -np.asarray(columns["ll"], dtype=np.float64)


def _word_perplexity(columns: Columns) -> float:
    return perplexity(columns["ll"], np.ones(len(columns["ll"]), np.int64))


class Lambada(Benchmark):
    """The 5,153 test passages."""

    name = "lambada"
    title = "LAMBADA"
    version = "1"
    n_items = 5153
    n_requests = 5153
    factors = MappingProxyType(
        {"version": Factor("openai", "which of the two texts: OpenAI's or the authors'", ("original",))}
    )
    caveats: Sequence[str] = (
        "LAMBADA is from self-published novels. OpenAI's and the authors' version give different scores, and a"
        " word counts only if every token of it is the model's first choice.",
    )
    metrics: Sequence[Metric] = (
        Metric(
            id="lambada/acc",
            title="Last word written greedily",
            kind="binary",
            unit="share",
            harm="lower",
            value=_greedy,
            range=(0.0, 1.0),
            margin=0.02,
            ungated_groups=frozenset({title}),
        ),
        Metric(
            id="lambada/nats",
            title="Nats of the last word",
            kind="continuous",
            unit="nats",
            harm="higher",
            value=_nats,
            range=(0.0, math.inf),
            gated=False,
        ),
    )
    scores: Sequence[Score] = (
        Score(
            "lambada/perplexity",
            "Perplexity of the last word (lm-evaluation-harness)",
            _word_perplexity,
            (1.0, math.inf),
            1.0,
            interval=True,
        ),
    )

    def __init__(self, levels: Mapping[str, str] = MappingProxyType({})) -> None:
        super().__init__(levels)
        self.source = _SOURCES[self.levels["version"]]

    def items(self, data: Path | None) -> list[Item]:
        """All passages in the file's order; the same passage twice is one cluster."""
        assert self.source is not None
        (path,) = verified(self.name, self.source, data).values()
        first_of: dict[str, str] = {}
        items = []
        for index, (row, passage) in enumerate(self._passages(path)):
            context, space, word = passage.rpartition(" ")
            if not context or not word:
                raise row.error("text", "a passage and, after a space, its last word", passage)
            items.append(
                Item(
                    id=f"{index:04d}",
                    group=self.title,
                    axis="set",
                    cluster=first_of.setdefault(passage, f"{index:04d}"),
                    requests=((context, space + word),),
                )
            )
        return items

    def _passages(self, path: Path) -> Iterator[tuple[Row, str]]:
        if path.suffix == ".jsonl":
            return ((row, row.text("text")) for row in read_jsonl(self.name, path))
        return ((row, row.text("line")) for row in read_lines(self.name, path))

    def evidence(self, item: Item, answers: Sequence[Answer]) -> dict[str, float | int | str]:
        """Log-likelihood (nats) and tokens of the last word, and whether the model would have written it."""
        (answer,) = answers
        return {"ll": answer.ll, "n_tokens": answer.n_tokens, "greedy": int(answer.greedy)}


BENCHMARK = Lambada()
