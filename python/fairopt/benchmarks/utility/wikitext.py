"""WikiText-2 (Merity et al. 2017): how well a model predicts whole Wikipedia articles.

Pages, clean-up and counts are lm-evaluation-harness's ``wikitext``: the raw test file is cut before each heading of the
first level (the hub's ``wikitext_document_level``), the spaces that its tokenisation put around punctuation are taken
out, and the nats are divided by the words and bytes of the page *before* that. Every token is predicted once, from as
much as the model can read (:mod:`fairopt.models.rolling`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from fairopt.benchmarks.ask import Answer, Rolling
from fairopt.benchmarks.base import Benchmark, Columns, Item, Metric, Score, Source, verified
from fairopt.benchmarks.bits_per_byte import bits_metric
from fairopt.benchmarks.rows import read_text
from fairopt.metrics import byte_counts, perplexity, word_counts

_FILE = "wikitext2/raw/wiki.test.raw"
_HUB = "https://huggingface.co/datasets/ggml-org/ci/resolve/927b3642933080f1b0e811e2f916e14c292992f9"

# Megatron-LM's rules in their order, as regular expressions. One of them, on a quote between slashes, is left out: it
# would write its own pattern into the text, and finds nothing in WikiText-2.
_CLEANING = tuple(
    (re.compile(find), put)
    for find, put in (
        ("s '", "s'"),
        (" @([-,.])@ ", r"\1"),
        *((f" {re.escape(mark)} ", f"{mark} ") for mark in ":;.!?,"),
        (r"\(\s*([^)]*?)\s*\)", r"(\1)"),
        (r"\[\s*([^\]]*?)\s*\]", r"[\1]"),
        (r"{\s*([^}]*?)\s*}", r"{\1}"),
        (r'"\s*([^"]*?)\s*"', r'"\1"'),
        (r"'\s*([^']*?)\s*'", r"'\1'"),
        ("= = = =", "===="),
        ("= = =", "==="),
        ("= =", "=="),
        (" ° ", "°"),
        (" \n", "\n"),
        ("\n ", "\n"),
        (" N ", " 1 "),
        (" 's", "'s"),
    )
)


def pages(lines: Iterable[str]) -> Iterator[str]:
    """Articles, each from its heading `` = Title = `` to the next; what is blank before the first is dropped."""
    page: list[str] = []
    for line in lines:
        heading = line.replace("= = =", "===").replace("= =", "==").strip()
        if heading.startswith("= ") and heading.endswith(" ="):
            if any(part.strip() for part in page):
                yield "\n".join(page)
            page = []
        page.append(line)
    yield "\n".join(page)


def detokenized(page: str) -> str:
    """The page without the spaces that WikiText's tokenisation put around punctuation."""
    for find, put in _CLEANING:
        page = find.sub(put, page)
    return page


def _of_all(score: Callable[..., float], unit: str) -> Callable[[Columns], float]:
    return lambda columns: score(columns["ll"], columns[f"n_{unit}"])


class WikiText(Benchmark):
    """The 62 articles of the test file."""

    name = "wikitext"
    title = "WikiText-2"
    version = "1"
    ask = Rolling()
    n_items = 62
    n_requests = 62
    source = Source(
        home="https://huggingface.co/datasets/Salesforce/wikitext (wikitext-2-raw-v1); the archive is a copy",
        licence="CC BY-SA 3.0 and GFDL",
        files={_FILE: "173c87a53759e0201f33e0ccf978e510c2042d7f2cb78229d9a50d79b9e7dd08"},
        urls={_FILE: f"{_HUB}/wikitext-2-raw-v1.zip#wikitext-2-raw/wiki.test.raw"},
    )
    caveats: Sequence[str] = (
        "WikiText-2's token perplexity compares only models with one tokenizer; words and bytes are those of the text."
        " Perplexities published for other windows or without the clean-up of its spaces are other numbers.",
        "Perplexity can stay where it is while answers change: read it beside the benchmarks that ask something.",
    )
    metrics: Sequence[Metric] = (
        bits_metric(
            "wikitext/bits_per_byte",
            "Bits per byte",
            support=lambda columns: len(columns["ll"]),
            margin=0.02,  # a word has 5.3 bytes here: the perplexity of words rises by 7.6 %
            ungated_groups=frozenset({title}),
        ),
    )
    scores: Sequence[Score] = (
        Score(
            "wikitext/word_perplexity",
            "Perplexity of words",
            _of_all(perplexity, "words"),
            (1.0, math.inf),
            1.0,
            interval=True,
        ),
        Score(
            "wikitext/byte_perplexity",
            "Perplexity of bytes",
            _of_all(perplexity, "bytes"),
            (1.0, math.inf),
            1.0,
            interval=True,
        ),
        Score(
            "wikitext/token_perplexity",
            "Perplexity of tokens",
            _of_all(perplexity, "tokens"),
            (1.0, math.inf),
            1.0,
            interval=True,
        ),
    )

    def items(self, data: Path | None) -> list[Item]:
        """All articles in the file's order."""
        assert self.source is not None
        (path,) = verified(self.name, self.source, data).values()
        found = list(pages(read_text(self.name, path).split("\n")))
        counts = zip(found, word_counts(found), byte_counts(found), strict=True)
        return [
            Item(
                id=f"{index:02d}",
                group=self.title,
                axis="set",
                cluster=f"{index:02d}",
                requests=(("", detokenized(page)),),
                fields={"heading": page.partition("\n")[0].strip(" ="), "n_words": int(words), "n_bytes": int(size)},
            )
            for index, (page, words, size) in enumerate(counts)
        ]

    def evidence(self, item: Item, answers: Sequence[Answer]) -> dict[str, float | int | str]:
        """Log-likelihood (nats) and tokens of the article."""
        (answer,) = answers
        return {"ll": answer.ll, "n_tokens": answer.n_tokens}


BENCHMARK = WikiText()
