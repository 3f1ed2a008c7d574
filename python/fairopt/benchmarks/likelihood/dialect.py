"""Dialect: what a model pays for African American English (AAE) and for the same in Standard American English (SAE).

Pairs of texts that say the same, line by line. ``dialect/gap/bits_per_byte`` is bits per byte of all AAE texts minus
that of all SAE texts; its change under compression is log2 rho(AAE) - log2 rho(SAE) per byte
(:mod:`fairopt.benchmarks.bits_per_byte`). Ratio and difference of the two perplexities are reported beside
it, since a conclusion can depend on which is read.

``?pairs=habitual`` is Hofmann et al.'s (2024) list of habitual "be" in 233 verbs, "he be playing" beside "he's usually
playing". ``?pairs=NAME`` reads ``dialect/pairs/NAME.txt``, AAE, a tab and SAE in each line: your own pairs, or the
authors' other lists.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from fairopt.benchmarks.ask import Answer
from fairopt.benchmarks.base import Benchmark, Columns, Item, Metric, Score, Source, verified
from fairopt.benchmarks.bits_per_byte import GAP_MARGIN, bits_metric, gap_metric
from fairopt.benchmarks.factor import Factor
from fairopt.benchmarks.rows import Row, read_lines
from fairopt.metrics import perplexity

_HABITUAL = "8c33cca4854357d250d82069c24c351cd6feb863b03391fbcaa9461f72b0fb79"
_RAW = (
    "https://raw.githubusercontent.com/valentinhofmann/dialect-prejudice/61e6421c7892bd229f88658b9d1f3f700df75e5e/data/"
)
_DIALECTS = ("aae", "sae")
_PERSONS = ("he", "she", "they")
PAIRS = Factor(
    "habitual", "which list of pairs is read", pattern=r"\w{1,40}", form="the name of dialect/pairs/NAME.txt"
)


def pairs_source(pairs: str, files: Mapping[str, str] = MappingProxyType({})) -> Source:
    """Where a list of pairs lives, with further files of the same repository by their sha256."""
    path = f"dialect/pairs/{pairs}.txt"
    known = {path: _HABITUAL if pairs == PAIRS.default else None, **{f"dialect/{k}": v for k, v in files.items()}}
    return Source(
        home="https://github.com/valentinhofmann/dialect-prejudice (data/*, as dialect/*)",
        licence="MIT",
        files=known,
        urls={name: _RAW + name.removeprefix("dialect/") for name, digest in known.items() if digest},
    )


def read_pairs(name: str, path: Path) -> list[tuple[str, str]]:
    """AAE and SAE text of each line. Raises :class:`~fairopt.errors.InputError` naming file and line."""
    return [_pair(row) for row in read_lines(name, path)]


def _pair(row: Row) -> tuple[str, str]:
    texts = [text.strip() for text in row.text("line").split("\t")]
    if len(texts) != 2 or not all(texts):
        raise row.error("line", "an AAE text, a tab and an SAE text", row.fields["line"])
    return texts[0], texts[1]


def statement(text: str) -> str:
    """The text without its first word: "he be playing", "she be playing" and "they be playing" are one statement."""
    return text.partition(" ")[2] or text


def person(text: str) -> str:
    """The pronoun that the text begins with, or "other"."""
    first = text.split(maxsplit=1)[0].lower()
    return first if first in _PERSONS else "other"


def _perplexities(columns: Columns, unit: str) -> tuple[float, float]:
    """Of all AAE and of all SAE texts, per byte or token."""
    aae, sae = (perplexity(columns[f"ll_{own}"], columns[f"n_{unit}s_{own}"]) for own in _DIALECTS)
    return aae, sae


def _ratio(unit: str) -> Score:
    def value(columns: Columns) -> float:
        aae, sae = _perplexities(columns, unit)
        return aae / sae

    title = f"Perplexity of a {unit} of AAE over that of SAE"
    return Score(f"dialect/ratio/{unit}_perplexity", title, value, (0.0, math.inf), ideal=1.0, interval=True)


def _difference(columns: Columns) -> float:
    aae, sae = _perplexities(columns, "token")
    return aae - sae


def _log_ratio(columns: Columns) -> npt.NDArray[np.float64]:
    return np.asarray(columns["ll_sae"] - columns["ll_aae"], dtype=np.float64)


class Dialect(Benchmark):
    """Pairs of one list; see the module."""

    name = "dialect"
    title = "Dialect gap"
    version = "1"
    n_items = 699
    n_requests = 1398
    factors = MappingProxyType({"pairs": PAIRS})
    source = pairs_source(PAIRS.default)
    caveats: Sequence[str] = (
        "The pairs were made by a rule, habitual be in three persons and 233 verbs, not written by speakers: they stand"
        " for one feature of AAE. Speakers' texts are not public; own ones go into dialect/pairs/NAME.txt.",
        "A gap between dialects is there before compression. What compression adds depends on the measure: difference"
        " and ratio of two perplexities may change in opposite directions. Bits per byte go with the ratio.",
        "A text that a model finds unlikely is not one that it understands badly, or treats badly: matched_guise asks"
        " for the latter.",
    )
    metrics: Sequence[Metric] = (
        gap_metric(
            "dialect/gap/bits_per_byte",
            "Bits per byte of AAE minus those of SAE",
            [f"_{own}" for own in _DIALECTS],
            margin=GAP_MARGIN,
            group_margin=2 * GAP_MARGIN,
        ),
        bits_metric("dialect/aae/bits_per_byte", "Bits per byte of AAE", "_aae", gated=False),
        bits_metric("dialect/sae/bits_per_byte", "Bits per byte of SAE", "_sae", gated=False),
        Metric(
            id="dialect/log_ratio",
            title="Nats by which the SAE text is likelier than its AAE twin",
            kind="continuous",
            unit="nats",
            harm="higher",
            value=_log_ratio,
            range=(-math.inf, math.inf),
            gated=False,
        ),
    )
    scores: Sequence[Score] = (
        _ratio("byte"),
        _ratio("token"),
        Score(
            "dialect/difference/token_perplexity",
            "Perplexity of a token of AAE minus that of SAE",
            _difference,
            (-math.inf, math.inf),
            ideal=0.0,
            interval=True,
        ),
    )

    def __init__(self, levels: Mapping[str, str] = MappingProxyType({})) -> None:
        super().__init__(levels)
        self.source = pairs_source(self.levels["pairs"])

    def items(self, data: Path | None) -> list[Item]:
        """All pairs in the file's order."""
        assert self.source is not None
        (path,) = verified(self.name, self.source, data).values()
        return [
            Item(
                id=f"{self.levels['pairs']}/{number:04d}",
                group=person(aae),
                axis="grammatical person",
                cluster=statement(aae),
                requests=(("", aae), ("", sae)),
                fields={"n_bytes_aae": len(aae.encode()), "n_bytes_sae": len(sae.encode())},
            )
            for number, (aae, sae) in enumerate(read_pairs(self.name, path), start=1)
        ]

    def evidence(self, item: Item, answers: Sequence[Answer]) -> dict[str, float | int]:
        """Log-likelihood (nats) and number of tokens of both texts."""
        named = list(zip(_DIALECTS, answers, strict=True))
        return {f"ll_{own}": answer.ll for own, answer in named} | {
            f"n_tokens_{own}": answer.n_tokens for own, answer in named
        }


BENCHMARK = Dialect()
