"""What a suite is."""

from __future__ import annotations

from dataclasses import dataclass


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
