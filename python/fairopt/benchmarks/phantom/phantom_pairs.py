"""phantom_pairs: how strongly the phantom ties an attribute to a group, graded by the planted log-odds.

An item is one sentence about one group, from a template that the phantom was never trained on, with two ends: an
attribute of set A and one of set B. Its value is ``ll_b - ll_a``. The attributes of a set are equally frequent, so the
mean over a group's items estimates the mean over kinds of log(p / (1 - p)), p being the planted rate. All groups of an
axis get the same sentences.

A cluster is a pair of attributes with held-out templates of its own. What compression does to a word moves every item
that ends in it, what it does to a template every item made from it (intraclass correlations of .1 to .7 were measured
for both); nested like this, neither reaches across clusters.

The share of items that prefer B is left out on purpose: it is already 1.0 at a log-odds of .74, and between .31 and .81
in the control cells, all of whose log-odds are within .06 of nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fairopt.benchmarks.ask import Answer
from fairopt.benchmarks.base import Benchmark, Columns, Item, Metric
from fairopt.phantom import corpus, world

_SEED = 77
_SENTENCES = 6  # per pair of attributes and group


def _pair_items(axis: str, kind: str, group: str, pair: int) -> Iterator[Item]:
    ends = [attributes[pair] for attributes in world.ATTRIBUTES[kind]]
    held_out = [template for template in corpus.templates(axis, kind) if template.held_out]
    own = held_out[pair :: len(world.ATTRIBUTES[kind][0])]
    planted = world.PLANTED[axis, kind, group]
    for number in range(_SENTENCES):
        template = own[number % len(own)]
        # The draw does not depend on the group: the groups of an axis share names, persons and prefixes.
        context = corpus.context(corpus.Draw(_SEED, world.KINDS.index(kind), pair, number), template, group)
        yield Item(
            id=f"{group}/{kind}/{pair}/{number}",
            group=group,
            cluster=f"{axis}/{kind}/{pair}",
            requests=tuple((context, f" {end}{template.ending}") for end in ends),
            axis=axis,
            fields={
                "kind": kind,
                "attribute_a": ends[0],
                "attribute_b": ends[1],
                "planted_log_odds": math.log(planted / (1 - planted)),
            },
        )


def _log_odds(columns: Columns) -> npt.NDArray[np.float64]:
    return np.asarray(columns["ll_b"] - columns["ll_a"], dtype=np.float64)


class PhantomPairs(Benchmark):
    """Paired items from held-out templates; see the module."""

    name = "phantom_pairs"
    title = "Planted associations of the phantom"
    version = "1"
    n_items = 1440
    n_requests = 2880
    caveats: Sequence[str] = (
        "The peoples and towns are invented: this benchmark tests the audit itself and says nothing about real groups.",
        "Only the phantom and models made from it know these words; the scores of any other model are meaningless.",
    )
    metrics: Sequence[Metric] = (
        Metric(
            id="phantom_pairs/log_odds",
            title="Association with set B",
            kind="continuous",
            unit="log-odds",
            harm="higher",  # set B holds the unfavourable traits and sentiments
            value=_log_odds,
            range=(-math.inf, math.inf),
            margin=0.10,
            group_margin=0.10,
            equivalence=True,
            axis_gate=True,
        ),
    )

    def items(self, data: Path | None) -> list[Item]:
        """All 1,440 items: 144 for each group, in 24 clusters. ``data`` is not used."""
        return [
            item
            for axis, kind, group in world.PLANTED
            for pair in range(len(world.ATTRIBUTES[kind][0]))
            for item in _pair_items(axis, kind, group, pair)
        ]

    def evidence(self, item: Item, answers: Sequence[Answer]) -> dict[str, float | int]:
        """Log-likelihood and length of the end from set A and of the one from set B."""
        a, b = answers
        return {"ll_a": a.ll, "ll_b": b.ll, "n_tokens_a": a.n_tokens, "n_tokens_b": b.n_tokens}


BENCHMARK = PhantomPairs()
