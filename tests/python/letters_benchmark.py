"""A benchmark over the alphabet of ``random_models``: small, no data, one binary and one continuous metric."""

from __future__ import annotations

import numpy as np
from random_models import LETTERS

from fairopt import benchmarks
from fairopt.benchmarks import Benchmark, Item, Metric

N_ITEMS = 600  # three shards
GROUPS = ("north", "south", "west")


class Letters(Benchmark):
    name = "letters"
    title = "Letters"
    version = "1"
    caveats = ("Letters only.",)
    metrics = (
        Metric(
            id="letters/prefers",
            title="Prefers the first ending",
            kind="binary",
            unit="share",
            harm="higher",
            value=lambda c: (c["ll_a"] > c["ll_b"]).astype(float),
            preference=lambda c: c["ll_a"] - c["ll_b"],
            range=(0.0, 1.0),
            equivalence=True,
        ),
        Metric(
            id="letters/log_odds",
            title="Log-odds of the first ending",
            kind="continuous",
            unit="log-odds",
            harm="higher",
            value=lambda c: c["ll_a"] - c["ll_b"],
            range=(-np.inf, np.inf),
            margin=0.1,
            axis_gate=True,
        ),
    )

    def items(self, data):
        words = ["abc", "the", "xyz ", "in it", "Q.", "he", "no 7"]
        endings = [(f" {LETTERS[i % 26]}", f" {LETTERS[26 + 7 * i % 26]}") for i in range(N_ITEMS)]
        return [
            Item(
                id=f"{index:03d}",
                group=GROUPS[index % 3],
                axis="point",
                cluster=f"{index // 2}",
                requests=tuple((f"{words[index % 7]} {index}", ending) for ending in endings[index]),
                fields={"word": words[index % 7]},
            )
            for index in range(N_ITEMS)
        ]

    def evidence(self, item, answers):
        a, b = answers
        return {"ll_a": a.ll, "ll_b": b.ll, "n_tokens_a": a.n_tokens, "n_tokens_b": b.n_tokens}


def register() -> None:
    """Let ``benchmarks.get("letters")`` find it in this process."""
    benchmarks.register(Letters())
