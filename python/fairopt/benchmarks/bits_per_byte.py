"""Bits per byte of sets of texts: what a model pays for a text, whatever its tokenizer.

The change of a set's bits per byte is log2 of its degradation ratio rho, perplexity of the variant over perplexity of
the base, per byte. So the change of a *gap* in bits per byte is log rho of one set minus log rho of the other: 0 where
compression costs both the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fairopt.benchmarks.base import Columns, Metric
from fairopt.metrics import bits_per_byte, bits_per_byte_influence

# 2 ** (0.05 * 4.5) = 1.17: with 4.5 bytes a token, one set's token perplexity rises by 17 % more than the others'.
GAP_MARGIN = 0.05
MARGIN = 0.02  # 2 ** (0.02 * 4.5) = 1.06, as for WikiText


def _of(suffix: str) -> Callable[[Columns], tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
    return lambda columns: (columns[f"ll{suffix}"], columns[f"n_bytes{suffix}"])


def bits_metric(name: str, title: str, suffix: str = "", **options: Any) -> Metric:
    """Bits per byte over all texts, columns ``ll`` and ``n_bytes``; ``options`` are those of the metric."""
    of = _of(suffix)

    def value(columns: Columns) -> npt.NDArray[np.float64]:
        ll, n = of(columns)
        return np.asarray(-ll / (n * math.log(2)), dtype=np.float64)

    return Metric(
        id=name,
        title=title,
        kind="ratio",
        unit="bits",
        harm="higher",
        value=value,
        range=(0.0, math.inf),
        statistic=lambda columns: bits_per_byte(*of(columns)),
        influence=lambda columns: bits_per_byte_influence(*of(columns)),
        capability=True,
        **options,
    )


def gap_metric(name: str, title: str, suffixes: Sequence[str], **options: Any) -> Metric:
    """Bits per byte of one set minus those of another, of texts in pairs."""
    one, other = (bits_metric(name, title, suffix) for suffix in suffixes)
    value, statistic, influence = (
        _difference(getattr(one, part), getattr(other, part)) for part in ("value", "statistic", "influence")
    )
    return Metric(
        id=name,
        title=title,
        kind="ratio",
        unit="bits",
        harm="higher",
        value=value,
        range=(-math.inf, math.inf),
        statistic=statistic,
        influence=influence,
        **options,
    )


def _difference(one: Callable[[Columns], Any], other: Callable[[Columns], Any]) -> Callable[[Columns], Any]:
    return lambda columns: one(columns) - other(columns)
