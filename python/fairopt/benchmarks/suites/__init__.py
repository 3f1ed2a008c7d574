"""Suites: benchmarks that are asked together, each at its levels, with so many of its items. One file a suite."""

from __future__ import annotations

from collections.abc import Mapping

from fairopt.benchmarks.suites.beyond_perplexity import BEYOND_PERPLEXITY
from fairopt.benchmarks.suites.core import CORE
from fairopt.benchmarks.suites.full import FULL
from fairopt.benchmarks.suites.inference_acceleration import INFERENCE_ACCELERATION
from fairopt.benchmarks.suites.smoke import SMOKE
from fairopt.benchmarks.suites.suite import Entry, Suite
from fairopt.errors import InputError

__all__ = ["SUITES", "Entry", "Suite", "get"]

SUITES: Mapping[str, Suite] = {
    suite.name: suite for suite in (SMOKE, CORE, FULL, INFERENCE_ACCELERATION, BEYOND_PERPLEXITY)
}


def get(name: str) -> Suite:
    """The suite of that name; :class:`~fairopt.errors.InputError` lists the known ones."""
    if name not in SUITES:
        raise InputError(f"suite: name must be one of {', '.join(SUITES)}, got {name!r}")
    return SUITES[name]
