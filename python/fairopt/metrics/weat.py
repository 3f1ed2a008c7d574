"""WEAT and SEAT: do two sets of targets differ in how near they are to one set of attributes rather than another?

Caliskan, Bryson and Narayanan (2017), "Semantics derived automatically from language corpora contain human-like
biases"; May et al. (2019) for sentences. The association of a target w is the mean cosine of its vector with those of
the attributes A minus that with B.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fairopt._arrays import reals

_SAMPLES_AT_ONCE = 2**20  # numbers of one block of random orders


@dataclass(frozen=True)
class WeatPermutation:
    """How many of the ways to part the targets into two sets of these sizes differ as much; NaN where undefined."""

    p: float  # (0, 1]; one-sided: the first set is nearer to the first attributes
    partitions: int  # looked at
    exact: bool  # all of them; otherwise p = (hits + 1) / (partitions + 1)


def weat_associations(
    targets: npt.ArrayLike, first_attributes: npt.ArrayLike, second_attributes: npt.ArrayLike
) -> npt.NDArray[np.float64]:
    """Association of each target [n, hidden] with two sets of attributes [a, hidden], [b, hidden]: [n] in [-2, 2].

    The two sets may differ in size. A vector of length 0 has no direction: NaN.

    Raises:
        ValueError: for arrays of other shapes, and sets without a vector.
    """
    op = "weat_associations"
    named = {"targets": targets, "first_attributes": first_attributes, "second_attributes": second_attributes}
    arrays = {name: np.asarray(value, dtype=np.float64) for name, value in named.items()}
    hidden = arrays["targets"].shape[-1] if arrays["targets"].ndim == 2 else None
    for name, array in arrays.items():
        if array.ndim != 2 or array.shape[1] != hidden or not len(array):
            raise ValueError(f"{op}: {name} must be vectors [n, hidden] of the same size, got shape {array.shape}")
    units = [_unit(array) for array in arrays.values()]
    return np.asarray(units[0] @ (units[1].mean(axis=0) - units[2].mean(axis=0)))


def weat_effect_size(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Difference of the mean associations of two sets of targets, over the standard deviation of both together.

    The deviation is the sample's (``ddof=1``) over the union, as in the code of May et al. and in bias-bench; for sets
    of equal size n the size is then at most ``sqrt(2 (2n - 1) / n)``, which is below 2. It is NaN for an empty set, for
    associations that do not differ at all, and where one is NaN.
    """
    one, two = reals("weat_effect_size", "first", first), reals("weat_effect_size", "second", second)
    both = np.concatenate([one, two])
    if not len(one) or not len(two) or np.isnan(both).any():
        return math.nan
    # What is left of equal numbers after their mean is taken away is rounding, not a deviation.
    deviation = float(np.std(both, ddof=1))
    if deviation <= 1e-12 * max(1.0, float(np.abs(both).max())):
        return math.nan
    return float((one.mean() - two.mean()) / deviation)


def weat_permutation(
    first: npt.ArrayLike, second: npt.ArrayLike, *, exact_limit: int = 100_000, samples: int = 9_999, seed: int = 0
) -> WeatPermutation:
    """Test whether the first set of targets is associated more with the first attributes than the second set is.

    The statistic is the sum of the first set's associations; larger and equal ones count, equal up to rounding. All
    partitions into sets of these sizes are looked at where there are at most ``exact_limit``, otherwise ``samples``
    random ones. p is NaN for an empty set and where an association is NaN. It does not depend on the order of targets.

    Raises:
        ValueError: for fewer than one sample or a negative limit or seed.
    """
    op = "weat_permutation"
    one, two = reals(op, "first", first), reals(op, "second", second)
    for name, value, least in (("exact_limit", exact_limit, 0), ("samples", samples, 1), ("seed", seed, 0)):
        if value < least:
            raise ValueError(f"{op}: {name} must be at least {least}, got {value}")
    both = np.sort(np.concatenate([one, two]))
    if not len(one) or not len(two) or np.isnan(both).any():
        return WeatPermutation(math.nan, 0, False)
    # A sum of n numbers is off by at most n u times the sum of their sizes: what is nearer than that is a tie.
    observed = float(one.sum()) - len(both) * np.finfo(np.float64).eps * float(np.abs(both).sum())
    partitions = math.comb(len(both), len(one))
    if partitions <= exact_limit:
        chosen = itertools.chain.from_iterable(itertools.combinations(range(len(both)), len(one)))
        sums = both[np.fromiter(chosen, np.intp, partitions * len(one)).reshape(partitions, len(one))].sum(axis=1)
        return WeatPermutation(float(np.mean(sums >= observed)), partitions, True)
    hits, left = 0, samples
    rng = np.random.default_rng(seed)
    while left:
        n = min(left, max(1, _SAMPLES_AT_ONCE // len(both)))
        order = rng.random((n, len(both))).argpartition(len(one) - 1, axis=1)[:, : len(one)]
        hits += int((both[order].sum(axis=1) >= observed).sum())
        left -= n
    return WeatPermutation((hits + 1) / (samples + 1), samples, False)


def _unit(vectors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(np.divide(vectors, lengths, out=np.full_like(vectors, np.nan), where=lengths > 0))
