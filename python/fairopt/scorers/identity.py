"""A scorer's own bias: what it says of the same neutral sentence about different people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fairopt.scorers.base import Number, Scorer
from fairopt.scorers.identity_terms import plain, terms
from fairopt.scorers.madlibs import SubgroupAreas, subgroup_areas

WORST = 5  # terms listed as worst


@dataclass(frozen=True)
class TermBias:
    """What a scorer says of neutral sentences with one term in them."""

    axis: str  # "race"
    term: str  # "Black"
    mean: float  # over its sentences; NaN where the number is undefined on all of them
    difference: float  # of the mean from that of all terms of the axis
    flagged: float  # share of its sentences beyond the number's threshold: false alarms; NaN for harm "either"


@dataclass(frozen=True)
class AxisBias:
    """The spread of a number over the terms of an axis, where no difference has a reason."""

    axis: str
    gap: float  # highest minus lowest mean
    lowest: str  # term
    highest: str


@dataclass(frozen=True)
class NumberBias:
    """One number of the scorer."""

    number: str
    harm: str
    threshold: float
    plain: float  # mean over the same sentences without any term
    axes: tuple[AxisBias, ...]
    terms: tuple[TermBias, ...]
    worst: tuple[TermBias, ...]  # farthest from their axis's mean in the harmful direction ("either": in any)


@dataclass(frozen=True)
class IdentityBias:
    """What is printed beside every result that rests on the scorer; plain data, ready for JSON."""

    scorer: str  # name
    id: str
    sentences: int  # scored, without the madlibs
    numbers: tuple[NumberBias, ...]
    madlibs: tuple[SubgroupAreas, ...]  # empty without their file


def identity_bias(scorer: Scorer, data: Path | None = None) -> IdentityBias:
    """Measure it on our own sentences and, where a data folder is given and holds them, on the Jigsaw madlibs.

    The sentences are templates: a mean says how the scorer takes the word, not the people, and a scorer without a gap
    here may have one elsewhere. Raises :class:`~fairopt.errors.InputError` for a malformed madlibs file.
    """
    found, without = list(terms()), plain()
    texts = [*without, *(sentence for term in found for sentence in term.sentences)]
    scored = scorer.score(texts)
    cuts = np.cumsum([len(without), *(len(term.sentences) for term in found)])
    numbers = []
    for number in scorer.numbers:
        first, *rest, _ = np.split(scored[number.name], cuts)
        rows = [_row(number, term.axis, term.name, values) for term, values in zip(found, rest, strict=True)]
        numbers.append(_number(number, _mean(first), rows))
    areas = subgroup_areas(scorer, data) if data is not None else ()
    return IdentityBias(scorer.name, scorer.id, len(texts), tuple(numbers), areas)


def _row(number: Number, axis: str, term: str, values: npt.NDArray[np.float64]) -> TermBias:
    if number.harm == "either":
        flagged = np.nan
    else:
        beyond = values >= number.threshold if number.harm == "higher" else values <= number.threshold
        flagged = float(np.mean(beyond))
    return TermBias(axis, term, _mean(values), np.nan, flagged)


def _number(number: Number, plain_mean: float, rows: Sequence[TermBias]) -> NumberBias:
    axes: list[AxisBias] = []
    against: list[TermBias] = []
    for axis, group in groupby(rows, key=lambda row: row.axis):
        own = list(group)
        middle = _mean(np.array([row.mean for row in own]))
        against += [replace(row, difference=row.mean - middle) for row in own]
        known = sorted((row for row in own if not np.isnan(row.mean)), key=lambda row: row.mean)
        if known:
            low, high = known[0], known[-1]
            axes.append(AxisBias(axis, high.mean - low.mean, low.term, high.term))
    harm = {"higher": lambda d: d, "lower": lambda d: -d, "either": abs}[number.harm]
    # A term is no worse for another of its axis being favoured: it must be worse than no term, too.
    worse = [row for row in against if harm(row.difference) > 0 and harm(row.mean - plain_mean) > 0]
    return NumberBias(
        number=number.name,
        harm=number.harm,
        threshold=number.threshold,
        plain=plain_mean,
        axes=tuple(axes),
        terms=tuple(against),
        worst=tuple(sorted(worse, key=lambda row: -harm(row.difference))[:WORST]),
    )


def _mean(values: npt.NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")
