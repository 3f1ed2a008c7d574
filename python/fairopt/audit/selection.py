"""Which items of which benchmarks an audit asks, from names and a suite; and all that is left out, with the reason."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from fairopt import benchmarks as registry
from fairopt.audit.capability import lacking
from fairopt.audit.score import sample
from fairopt.audit.store import WHOLE, Omission
from fairopt.benchmarks import Benchmark, Item, LogLikelihood, suites
from fairopt.benchmarks.base import data_folder
from fairopt.benchmarks.factor import parse
from fairopt.errors import InputError, MissingData

if TYPE_CHECKING:
    from fairopt.models.loading import LoadedModel


@dataclass(frozen=True)
class Selection:
    """What is asked, and what is not."""

    asked: Sequence[tuple[Benchmark, Sequence[Item]]]
    omitted: Sequence[Omission]
    optional: frozenset[str]  # names of a suite's benchmarks: left out where they cannot be asked

    def for_model(self, model: LoadedModel, *, speed: bool = False) -> Selection:
        """What of it the model can be asked.

        Raises :class:`~fairopt.errors.InputError` for what was named itself and cannot be asked, and for ``speed``
        without a benchmark that it is measured on.
        """
        asked, omitted = [], list(self.omitted)
        for benchmark, items in self.asked:
            missing = lacking(model, benchmark)
            why = f"{benchmark.name}: model must be {missing}, got {model.name}"
            if not missing:
                asked.append((benchmark, items))
            elif benchmark.name in self.optional:
                omitted = [one for one in omitted if one.benchmark != benchmark.name]
                omitted.append(Omission(benchmark.name, WHOLE, why))
            else:
                raise InputError(why)
        if speed and not any(isinstance(benchmark.ask, LogLikelihood) for benchmark, _ in asked):
            raise InputError("audit: speed must be measured on a benchmark that asks for log-likelihoods, got none")
        return _not_empty(Selection(asked, omitted, self.optional))


def _not_empty(selection: Selection) -> Selection:
    if not selection.asked:
        reasons = "; ".join(one.why for one in selection.omitted[:3])
        raise InputError(f"audit: suite must hold a benchmark that can be asked, got none: {reasons}")
    return selection


@dataclass(frozen=True)
class _Wanted:
    """One benchmark with what its suite says of it."""

    benchmark: Benchmark
    limit: int | None
    suite: str  # empty: it was named itself


def select(
    names: Sequence[str],
    suite: str | None,
    factors: Mapping[str, Sequence[str]],
    *,
    data: str | os.PathLike[str] | None,
    limit: int | None,
) -> Selection:
    """The benchmarks of the suite, then those named, with further levels of ``factors`` for each that has them.

    Raises :class:`~fairopt.errors.InputError` for what was named and cannot be asked; of a suite it is left out.
    """
    if limit is not None and limit < 1:
        raise InputError(f"audit: limit must be at least 1, got {limit}")
    asked: list[tuple[Benchmark, Sequence[Item]]] = []
    omitted: list[Omission] = []
    wanted, folder = _wanted(names, suite, factors), None if data is None else Path(data)
    _check_ids([one.benchmark for one in wanted])
    _check_folder(wanted, data_folder(folder))

    def inside(text: str) -> str:  # a run is the same wherever the data lies
        return text.replace(f"{data_folder(folder)}{os.sep}", "")

    for one in wanted:
        name = one.benchmark.name
        try:
            items = one.benchmark.items(folder)
        except MissingData as error:
            if not one.suite:
                raise
            omitted.append(Omission(name, WHOLE, inside(str(error))))
            continue
        chosen, why = _chosen(items, one, limit)
        kept = {item.id for item in chosen}
        asked.append((one.benchmark, chosen))
        omitted += [Omission(name, inside(out.what), inside(out.why)) for out in one.benchmark.left_out(folder)]
        omitted += [Omission(name, item.id, why) for item in items if item.id not in kept]
    return _not_empty(Selection(asked, omitted, frozenset(one.benchmark.name for one in wanted if one.suite)))


def _wanted(names: Sequence[str], suite: str | None, factors: Mapping[str, Sequence[str]]) -> list[_Wanted]:
    entries = suites.get(suite).entries if suite is not None else ()
    plain = [(entry.benchmark, entry.limit, suite or "") for entry in entries] + [(name, None, "") for name in names]
    named = [name for name, _, _ in plain]
    if not plain or len(set(named)) < len(named):
        raise InputError(f"audit: benchmarks must be at least one name, each once, got {named}")
    unused = set(factors) - {factor for name in named for factor in registry.get(name).factors}
    if unused:
        raise InputError(f"audit: factor must be one that a benchmark of this audit has, got {min(unused)!r}")
    expanded = {
        level: (limit, of) for name, limit, of in reversed(plain) for level in reversed([name, *_levels(name, factors)])
    }
    wanted = list(reversed(expanded))
    found = registry.get_all(wanted)
    return [_Wanted(benchmark, *expanded[name]) for name, benchmark in zip(wanted, found, strict=True)]


def _levels(name: str, factors: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """The benchmark at one other level at a time, beside those levels that its name gives."""
    own = registry.get(name).factors
    if not own:
        return
    given = parse(name)[1]
    for factor, levels in factors.items():
        if factor in own and factor not in given:
            others = (quote(level, safe=":,./") for level in levels if level != own[factor].default)
            yield from (f"{name}{'&' if given else '?'}{factor}={level}" for level in others)


def _chosen(items: Sequence[Item], wanted: _Wanted, limit: int | None) -> tuple[list[Item], str]:
    """At most so many items as the limits allow, and why the others are not asked."""
    limits = {f"suite {wanted.suite}": wanted.limit, "--limit": limit}
    smallest = min(((n, who) for who, n in limits.items() if n is not None), default=(None, ""))
    return sample(items, smallest[0]), f"{smallest[1]} asks {smallest[0]} items, spread evenly over all"


def _check_folder(wanted: Sequence[_Wanted], folder: Path) -> None:
    """A folder that is not there is a mistyped one, and would leave nearly nothing of a suite to be judged."""
    if any(one.suite and one.benchmark.source for one in wanted) and not folder.is_dir():
        raise MissingData(f"audit: data must be a folder (--data or FAIROPT_DATA), got {str(folder)!r}")


def _check_ids(benchmarks: Sequence[Benchmark]) -> None:
    metrics = [metric.id for benchmark in benchmarks for metric in benchmark.metrics]
    twice = next((name for name in metrics if metrics.count(name) > 1), None)
    if twice is not None:  # two files of your own with one name
        raise InputError(f"audit: benchmarks must have metrics of different names, got {twice} twice; rename a file")
