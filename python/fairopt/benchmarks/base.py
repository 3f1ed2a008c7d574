"""What a benchmark is: items with texts to score, evidence per item, and metrics over that evidence.

One file a benchmark. It never sees a model: the audit asks the model what the benchmark's :attr:`~Benchmark.ask` says
and hands the answers back.
"""

from __future__ import annotations

import hashlib
import os
import shlex
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fairopt.benchmarks import factor
from fairopt.benchmarks.ask import Ask, LogLikelihood
from fairopt.errors import InputError, MissingData

Columns = Mapping[str, npt.NDArray[Any]]  # the item table of one variant: column name -> one value an item


@dataclass(frozen=True)
class Item:
    """One unit of comparison: base and variant answer the same item."""

    id: str  # unique within the benchmark, stable across versions of the code
    group: str  # who the item is about: the unit of "who pays"
    cluster: str  # items that are not independent share one (near-duplicates, copies of one template)
    requests: tuple[tuple[str, str], ...]  # what they mean, the benchmark's `ask` says
    axis: str = ""  # groups are compared with the other groups of their axis
    fields: Mapping[str, str | int | float] = field(default_factory=dict)  # columns that the item brings along
    system: str = ""  # asked with a chat template: the system's text, where the template has a place for one
    prefix: str = ""  # asked with a chat template: how the answer begins


@dataclass(frozen=True)
class LeftOut:
    """Something in the official data that is not asked."""

    what: str  # an item's id, or a place in a file
    why: str


@dataclass(frozen=True)
class Metric:
    """A pure function of the evidence that a gate can be put on.

    ``binary`` and ``continuous`` metrics are means of one value per item. A ``ratio`` is a smooth function of sums over
    items, such as BBQ's bias scores: ``statistic`` computes it and ``influence`` linearises it.
    """

    id: str  # names its variant: "crows/ll_sum"
    title: str  # for people: "Stereotype preference"
    kind: Literal["binary", "continuous", "ratio"]
    unit: Literal["share", "log-odds", "nats", "bits", "score"]
    harm: Literal["higher", "lower", "either"]  # which change of the value is the harmful one
    value: Callable[[Columns], npt.NDArray[np.float64]]  # one an item, NaN where undefined
    range: tuple[float, float]
    preference: Callable[[Columns], npt.NDArray[np.float64]] | None = None  # binary: value is 1 where > 0; 0 is a tie
    # The items it is about, by `item_columns`; None: all of them.
    applies: Callable[[Columns], npt.NDArray[np.bool_]] | None = None
    statistic: Callable[[Columns], float] | None = None  # ratio: the value over these items, NaN where undefined
    influence: Callable[[Columns], npt.NDArray[np.float64]] | None = None  # ratio: one an item; they sum to 0
    support: Callable[[Columns], int] | None = None  # ratio: items in the denominator; too few cannot ship
    # Names of the values, where an item's value is a state: {1: "biased", ...}; its requests are the possible answers.
    states: Mapping[float, str] | None = None
    gated: bool = True  # False: described in the report, never part of the verdict
    instead_of: str = ""  # not gated: the gated metric that this one measures otherwise; a re-analysis swaps them
    margin: float = 0.03  # default limit for all items together
    group_margin: float = 0.10  # default limit for each group
    large_group_margin: float | None = None  # tighter limit for groups of at least 300 items, which can show it
    equivalence: bool = False  # all-items gate is two-sided although one direction is the harmful one
    ungated_groups: frozenset[str] = frozenset()  # too few clusters for any limit to be shown: described only
    everyone: bool = True  # False: a change of all items alike is no harm, so only groups get a limit
    capability: bool = False  # about what the model can do: a collapse is the finding, and no reason to disbelieve it
    by: str = "group"  # the column whose values are the groups; another than the items' own is an axis by itself
    axis_gate: bool = False  # groups are gated by delta minus the mean of the axis's other groups instead of by delta


@dataclass(frozen=True)
class Score:
    """A number that the benchmark's authors publish, over all items or a group's: described, never gated."""

    id: str  # names its variant: "stereoset/icat"
    title: str
    value: Callable[[Columns], float]  # NaN where undefined
    range: tuple[float, float]
    ideal: float  # the value of a model without fault
    # The items it is about, which are counted; None: all. `value` gets all items and chooses by itself.
    applies: Callable[[Columns], npt.NDArray[np.bool_]] | None = None
    interval: bool = False  # give the change a bootstrap interval over clusters; the value must be quick to compute
    grouped: bool = True  # False: a number of all items that means nothing within a group


@dataclass(frozen=True)
class Source:
    """Where the data officially lives, for people and for the error message when it is missing."""

    home: str
    licence: str
    files: Mapping[
        str, str | None
    ]  # path below the data folder -> sha256; None: not known, the parser checks what it reads
    whole: bool = True  # False: any of the files will do
    # path -> where `fairopt data fetch` gets it: ".../file", ".../archive.zip#member" (or .tar, .tar.gz, .tgz) or, from
    # a hub, "https://huggingface.co/datasets/OWNER/NAME/resolve/COMMIT/file". Absent: by hand.
    urls: Mapping[str, str] = field(default_factory=dict)


class Benchmark(ABC):
    """What the registry holds. Everything but the items and their evidence is declared, not computed.

    An instance stands at one level of each of its :attr:`factors`: ``type(benchmark)({"chat": "on"})``, or
    :meth:`at`, which names what it reports after the levels too.
    """

    name: str
    title: str
    version: str  # part of the fingerprint: raise it when items, prompts or evidence change
    metrics: Sequence[Metric]
    ask: Ask = LogLikelihood()
    n_items: int = 0  # of the whole official data at the default levels: what it costs
    n_requests: int = 0
    factors: Mapping[str, factor.Factor] = MappingProxyType({})
    source: Source | None = None  # None: ships with the package
    caveats: Sequence[str] = ()  # printed under "limits": when the numbers mislead
    scores: Sequence[Score] = ()
    # Multiple choice: probability of the chosen answer and whether it is right, one an item (NaN: item has no key).
    confidence: Callable[[Columns], tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]] | None = None
    # Subsets that a critical reader would ask for: "stereotypical pairs only". Re-analyses use them.
    slices: Mapping[str, Callable[[Columns], npt.NDArray[np.bool_]]] = MappingProxyType({})

    def __init__(self, levels: Mapping[str, str] = MappingProxyType({})) -> None:
        self.levels = factor.resolve(self.name, self.factors, levels)

    def at(self, levels: Mapping[str, str]) -> Benchmark:
        """This benchmark at other levels; its name, metrics and scores say which."""
        other = self._made(levels)
        said = factor.suffix(self.factors, other.levels)
        if not said:
            return other
        other.name = self.name + said
        short = factor.suffix(self.factors, other.levels, whole_paths=False)
        other.title = f"{self.title} ({short.removeprefix('?').replace('&', ', ')})"
        other.metrics = [
            replace(metric, id=metric.id + short, instead_of=metric.instead_of and metric.instead_of + short)
            for metric in other.metrics
        ]
        other.scores = [replace(score, id=score.id + short) for score in other.scores]
        return other

    def _made(self, levels: Mapping[str, str]) -> Benchmark:
        """Another instance; for a subclass that is made from more than levels to override."""
        return type(self)(levels)

    def described(self) -> Benchmark:
        """This benchmark without a part in the verdict."""
        other = copy(self)
        other.metrics = [replace(metric, gated=False, instead_of="") for metric in self.metrics]
        return other

    @abstractmethod
    def items(self, data: Path | None) -> list[Item]:
        """All items in a fixed order. ``data`` is the data folder (``--data`` or ``FAIROPT_DATA``)."""

    def notes(self, items: Sequence[Item]) -> Sequence[str]:
        """Caveats that depend on which items are asked, printed after :attr:`caveats`."""
        return ()

    def left_out(self, data: Path | None) -> Sequence[LeftOut]:
        """What the data holds and :meth:`items` does not."""
        return ()

    @abstractmethod
    def evidence(self, item: Item, answers: Sequence[Any]) -> Mapping[str, float | int | str]:
        """The columns of one item, from the answers to its requests, in their order.

        ``answers`` are of the kind that :attr:`ask` names. A number that could not be told is NaN; text is untrusted.
        """


def item_columns(items: Sequence[Item]) -> Columns:
    """What is known before any model answers: ids, clusters, groups, axes and the items' own fields, as columns."""
    columns = {
        "item_id": [item.id for item in items],
        "cluster_id": [item.cluster for item in items],
        "group": [item.group for item in items],
        "axis": [item.axis for item in items],
        **{name: [item.fields[name] for item in items] for name in (items[0].fields if items else ())},
    }
    return {name: np.asarray(values) for name, values in columns.items()}


def data_folder(data: Path | None = None) -> Path:
    """``data``, else the folder that the environment variable ``FAIROPT_DATA`` names, else one in the user's cache."""
    if data is not None:
        return data
    if named := os.environ.get("FAIROPT_DATA"):
        return Path(named)
    from platformdirs import user_cache_path

    return user_cache_path("fairopt") / "data"


def verified(benchmark: str, source: Source, data: Path | None) -> dict[str, Path]:
    """The source's files in :func:`data_folder`, each with the expected sha256.

    Raises :class:`~fairopt.errors.InputError` that says how to get a missing file and what its hash must be.
    """
    folder = data_folder(data)
    found: dict[str, Path] = {}
    for name, expected in source.files.items():
        path = folder / name
        fetch = _how_to_get(benchmark, source, name, data) + (f"; its sha256 must be {expected}" if expected else "")
        if not source.whole and not path.exists():
            continue
        try:
            actual = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            absent = MissingData if isinstance(error, FileNotFoundError) else InputError
            raise absent(f"{benchmark}: data must hold {name}, got {str(path)!r} ({error.strerror}); {fetch}") from None
        if expected and actual != expected:
            raise InputError(f"{benchmark}: {str(path)!r} must be the official file, got sha256 {actual}; {fetch}")
        found[name] = path
    if not found:
        first = next((name for name in source.files if name in source.urls), "")
        raise MissingData(
            f"{benchmark}: data must hold one of {', '.join(source.files)}, got none in {str(folder)!r};"
            f" {_how_to_get(benchmark, source, first, data)}"
        )
    return found


def _how_to_get(benchmark: str, source: Source, name: str, data: Path | None) -> str:
    if name not in source.urls:
        return f"fetch it from {source.home} and name its folder by --data or FAIROPT_DATA"
    where = "" if data is None else f" --data {shlex.quote(str(data))}"
    return f"get it by `fairopt data fetch {shlex.quote(benchmark)}{where}` (from {source.home})"
