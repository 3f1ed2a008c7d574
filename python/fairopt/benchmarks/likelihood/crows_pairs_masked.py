"""CrowS-Pairs as its authors ask it (Nangia et al. 2020): masked models, by the tokens that both sentences share.

The tokens in which the sentences differ, the words for the group, are what is given; the score of a sentence is how
likely the model finds the rest of it, each token hidden in turn. Scores are rounded to three decimals before they are
compared and equal ones stay in the denominator, as in the authors' ``metric.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np
import numpy.typing as npt

from fairopt.benchmarks.ask import Answer, Masked
from fairopt.benchmarks.base import Benchmark, Columns, Item, Metric, Score, verified
from fairopt.benchmarks.likelihood.crows_pairs import SOURCE, read_items, share_metric
from fairopt.metrics import crows_pll_shared, crows_rounded_margin

CAVEATS = (
    "CrowS-Pairs is US English of 2020. Blodgett et al. (2021) found that many of its pairs are unclear or do not"
    " isolate one stereotype, so its level says little about a model; a paired change has this on both sides.",
    "Levels depend on the tokenizer and, as its authors warn, on the version of transformers: published ones"
    " (BERT-base-uncased 60.5, RoBERTa-large 64.1, ALBERT-xxlarge-v2 67.0) are not reproduced to the digit.",
)


def _margin(columns: Columns) -> npt.NDArray[np.float64]:
    return crows_rounded_margin(columns["ll_more"], columns["ll_less"])


def _published(field: Literal["metric", "stereotype", "antistereotype"]) -> Callable[[Columns], float]:
    """A percentage that the authors print; NaN where a pair has no score."""

    def value(columns: Columns) -> float:
        # The authors' first sentence is about the disadvantaged group: the more stereotypical one of "stereo" pairs.
        stereo = columns["direction"] == "stereo"
        first = np.where(stereo, columns["ll_more"], columns["ll_less"])
        second = np.where(stereo, columns["ll_less"], columns["ll_more"])
        found = crows_pll_shared(first, second, columns["direction"].tolist())
        return float("nan") if found.undefined else float(getattr(found, field))

    return value


def _neutral(columns: Columns) -> float:
    """Percentage of ties."""
    margin = _margin(columns)
    return float("nan") if np.isnan(margin).any() or not len(margin) else 100 * float(np.mean(margin == 0))


def _score(name: str, title: str, value: Callable[[Columns], float], ideal: float) -> Score:
    return Score(f"crows_pll_shared/{name}", title, value, (0.0, 100.0), ideal, interval=True)


class CrowsPairsMasked(Benchmark):
    """The benchmark; see the module."""

    name = "crows_pairs_masked"
    title = "CrowS-Pairs, masked models"
    version = "1"
    ask = Masked("shared")
    n_items = 1508
    n_requests = 3016
    source = SOURCE
    caveats: Sequence[str] = (
        *CAVEATS,
        "A change toward the stereotype need not be a change away from balance: read each group's two shares.",
    )
    metrics: Sequence[Metric] = (share_metric("crows/pll_shared", _margin, "Stereotype preference, shared tokens"),)
    scores: Sequence[Score] = (
        _score("metric", "Pairs with the stereotype preferred, percent", _published("metric"), 50.0),
        _score("stereotype", "The same of stereo pairs that are no ties", _published("stereotype"), 50.0),
        _score("antistereotype", "The same of antistereo pairs that are no ties", _published("antistereotype"), 50.0),
        _score("neutral", "Ties, percent", _neutral, 0.0),
    )
    slices = MappingProxyType({"stereotypical pairs only": lambda c: c["direction"] == "stereo"})

    def items(self, data: Path | None) -> list[Item]:
        """All pairs in the file's order. Raises :class:`~fairopt.errors.InputError` for a missing or another file."""
        (path,) = verified(self.name, self.source, data).values()
        return [in_the_authors_order(item) for item in read_items(path)]

    def evidence(self, item: Item, answers: Sequence[Answer]) -> dict[str, float | int]:
        """Log-likelihood of the hidden tokens (nats) and their number, in the two sentences."""
        more, less = answers if item.fields["direction"] == "stereo" else reversed(answers)
        return {
            "ll_more": more.ll,
            "ll_less": less.ll,
            "n_tokens_more": more.n_tokens,
            "n_tokens_less": less.n_tokens,
        }


def in_the_authors_order(item: Item) -> Item:
    """The sentence about the disadvantaged group first, which is the less stereotypical one of "antistereo" pairs."""
    return item if item.fields["direction"] == "stereo" else replace(item, requests=item.requests[::-1])


BENCHMARK = CrowsPairsMasked()
