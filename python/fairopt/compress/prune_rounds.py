"""Iterative pruning: the share grows over several rounds, and each looks at the model as the one before left it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

from fairopt.compress.prune_options import IterativePrune
from fairopt.compress.recipe import Chain


def earlier_rounds(chains: Mapping[str, Chain]) -> Iterator[dict[str, Chain]]:
    """What to prune in each round before the last, which is ``chains`` themselves: their iterative steps alone.

    Steps of different numbers of rounds end together.
    """
    steps = [step for chain in chains.values() for step in chain.steps if isinstance(step, IterativePrune)]
    for left in range(max((step.steps for step in steps), default=1) - 1, 0, -1):
        yield {name: Chain(pruned) for name, chain in chains.items() if (pruned := _so_far(chain, left))}


def _so_far(chain: Chain, left: int) -> tuple[IterativePrune, ...]:
    """The steps of a chain that have begun ``left`` rounds before the end, with the share that they prune by then."""
    return tuple(
        dataclasses.replace(step, amount=step.ratio_at(step.steps - left), steps=1)
        for step in chain.steps
        if isinstance(step, IterativePrune) and step.steps > left
    )
