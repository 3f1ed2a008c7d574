"""Suites: benchmarks that are asked together, each at its levels, with so many of its items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fairopt.errors import InputError


@dataclass(frozen=True)
class Entry:
    """One benchmark of a suite."""

    benchmark: str  # a name, perhaps with levels
    limit: int | None = None  # so many items, spread evenly over all; None: all of them


@dataclass(frozen=True)
class Suite:
    """Several benchmarks under one name."""

    name: str
    title: str
    about: str  # what it is for, and what it costs
    entries: tuple[Entry, ...]


SUITES: Mapping[str, Suite] = {
    suite.name: suite
    for suite in (
        Suite(
            "smoke",
            "Smoke test",
            "The phantom, whose associations are known, in three styles: does the audit work here? Seconds, no data.",
            (Entry("phantom_pairs"), Entry("phantom_questions"), Entry("phantom_texts?decoding=sample:5")),
        ),
    )
}


def get(name: str) -> Suite:
    """The suite of that name; :class:`~fairopt.errors.InputError` lists the known ones."""
    if name not in SUITES:
        raise InputError(f"suite: name must be one of {', '.join(SUITES)}, got {name!r}")
    return SUITES[name]
