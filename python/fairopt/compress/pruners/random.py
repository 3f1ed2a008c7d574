"""Random: the control that every score must beat."""

from __future__ import annotations

import torch

from fairopt.compress.prune_options import Amount, Random
from fairopt.compress.pruners.base import Needs, Pruned
from fairopt.compress.pruners.selection import keep_in_layer, masked
from fairopt.compress.solvers.base import Statistics


class RandomPruner:
    """Scores drawn from the layer's own seed."""

    needs: Needs = "nothing"

    def __init__(self, options: Random) -> None:
        pass

    def prune(self, weight: torch.Tensor, amount: Amount, statistics: Statistics | None, seed: int) -> Pruned:
        """See :class:`~fairopt.compress.pruners.base.LayerPruner`."""
        drawn = 1 - torch.rand(weight.shape, generator=torch.Generator().manual_seed(seed))  # in (0, 1]
        return masked(weight, keep_in_layer(drawn * (weight != 0), amount))
