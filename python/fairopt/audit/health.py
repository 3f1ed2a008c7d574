"""Whether what the models wrote is still text: for all items of a benchmark, and for each group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from fairopt.audit.result import TextHealth
from fairopt.audit.rule import ALL
from fairopt.benchmarks import Item, Text
from fairopt.metrics.text_health import Health, collapse, health
from fairopt.metrics.text_health import text_health as health_of

# What is reported, under the name of its definition.
NUMBERS = (
    "length",
    "distinct_1",
    "distinct_2",
    "repeated_share",
    "loop_share",
    "unknown_share",
    "empty_share",
    "refused_share",
    "base_perplexity",
)


def of_items(given: Sequence[Sequence[Any]]) -> list[Health]:
    """The health of each item's texts together."""
    return [
        health(
            health_of(text.text, text.base_ll, text.base_tokens)
            for answer in answers
            for text in answer
            if isinstance(text, Text)
        )
        for answers in given
    ]


def text_health(
    benchmark: str, items: Sequence[Item], base: Sequence[Health], variant: Sequence[Health]
) -> Iterator[TextHealth]:
    """All items, then each group."""
    groups = np.array([item.group for item in items])
    for group in (ALL, *np.unique(groups).tolist()):
        rows = np.flatnonzero(groups == group) if group != ALL else np.arange(len(items))
        before, after = (health(side[row] for row in rows.tolist()) for side in (base, variant))
        yield TextHealth(
            benchmark=benchmark,
            group=group,
            n=before.texts,
            base=_numbers(before),
            variant=_numbers(after),
            collapsed=collapse(before, after),
        )


def _numbers(found: Health) -> Mapping[str, float]:
    return {name: float(getattr(found, name)) for name in NUMBERS}
