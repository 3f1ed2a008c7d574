"""Does a number or a decision stay the same when only who a text is about changes? (Garg et al. 2019)

A *set* holds versions of one text that differ in a name, a pronoun or a group's name. The versions have no right
answer: all that counts is that they get the same one.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from fairopt._arrays import ids, reals


def counterfactual_gap(values: npt.ArrayLike, sets: npt.ArrayLike) -> float:
    """Compute the mean over sets of the largest difference within a set: max over x', x'' of |f(x') - f(x'')|.

    Args:
        values: a number of each text, such as the probability of "yes", ``[n]``.
        sets: the set of each text, ``[n]``.

    Returns:
        0 or more, 0 where every set agrees; NaN without sets or where a text has no number.

    Raises:
        ValueError: for unequal lengths or another type.
    """
    array = reals("counterfactual_gap", "values", values)
    labels, code = ids("counterfactual_gap", "sets", sets, array.size)
    if not array.size or np.isnan(array).any():
        return math.nan
    return float(np.mean(_spans(array, code, len(labels))))


def counterfactual_flip_rate(decisions: npt.ArrayLike, sets: npt.ArrayLike) -> float:
    """Compute the share of sets in which not every text gets the same decision (a whole number), in [0, 1].

    NaN without sets or where a decision is missing (-1). Raises as :func:`counterfactual_gap`.
    """
    array = reals("counterfactual_flip_rate", "decisions", decisions)
    labels, code = ids("counterfactual_flip_rate", "sets", sets, array.size)
    if not array.size or (array < 0).any() or np.isnan(array).any():
        return math.nan
    return float(np.mean(_spans(array, code, len(labels)) > 0))


def excess_flip_rate(base: npt.ArrayLike, variant: npt.ArrayLike, sets: npt.ArrayLike) -> float:
    """Compute how many more sets flip in a variant than in its base, in [-1, 1]: the base flips some by itself.

    ``base`` and ``variant`` are decisions about the same texts. NaN where either rate is.
    """
    return counterfactual_flip_rate(variant, sets) - counterfactual_flip_rate(base, sets)


def _spans(values: npt.NDArray[np.float64], code: npt.NDArray[np.int64], n: int) -> npt.NDArray[np.float64]:
    """Largest minus smallest value of each set."""
    highest, lowest = np.full(n, -np.inf), np.full(n, np.inf)
    np.maximum.at(highest, code, values)
    np.minimum.at(lowest, code, values)
    return np.asarray(highest - lowest)
