"""What a benchmark is: items with texts to score, evidence per item, and metrics over that evidence.

One file a benchmark. It never sees a model: the audit asks the model for log-likelihoods and hands them back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

Columns = Mapping[str, npt.NDArray[Any]]  # the item table of one variant: column name -> one value an item


@dataclass(frozen=True)
class Item:
    """One unit of comparison: base and variant answer the same item."""

    id: str  # unique within the benchmark, stable across versions of the code
    group: str  # who the item is about: the unit of "who pays"
    cluster: str  # items that are not independent share one (near-duplicates, copies of one template)
    requests: tuple[tuple[str, str], ...]  # (context, continuation) pairs whose log-likelihood is asked
    axis: str = ""  # groups are compared with the other groups of their axis
    fields: Mapping[str, str | int | float] = field(default_factory=dict)  # columns that the item brings along


@dataclass(frozen=True)
class Metric:
    """A pure function of the evidence: one value per item, NaN where undefined."""

    id: str  # names its variant: "crows/ll_sum"
    title: str  # for people: "Stereotype preference"
    kind: Literal["binary", "continuous"]
    unit: Literal["share", "log-odds", "nats"]
    harm: Literal["higher", "lower", "either"]  # which change of the value is the harmful one
    value: Callable[[Columns], npt.NDArray[np.float64]]
    range: tuple[float, float]
    gated: bool = True  # False: described in the report, never part of the verdict
    margin: float = (
        0.03  # default limit for all items together; equivalence when harm is "either" or the metric is a preference
    )
    group_margin: float = 0.10  # default limit for each group
    equivalence: bool = False  # all-items gate is two-sided although one direction is the harmful one
    axis_gate: bool = False  # groups are gated by delta minus the mean of the axis's other groups instead of by delta


@dataclass(frozen=True)
class Source:
    """Where the data officially lives, for people and for the error message when it is missing."""

    home: str
    licence: str
    files: Mapping[str, str]  # path below the data folder -> sha256


class Benchmark(Protocol):
    """What the registry holds."""

    name: str
    title: str
    source: Source | None  # None: ships with the package
    caveats: Sequence[str]  # printed under "limits"
    metrics: Sequence[Metric]
    version: str  # part of the fingerprint: raise it when items, prompts or evidence change

    def items(self, data: Path | None) -> list[Item]:
        """All items in a fixed order. ``data`` is the data folder (``--data`` or ``FAIROPT_DATA``)."""
        ...

    def evidence(self, loglikelihoods: Sequence[float], n_tokens: Sequence[int]) -> dict[str, float | int]:
        """The columns of one item, from the answers to its requests, in their order."""
        ...
