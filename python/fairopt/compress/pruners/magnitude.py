"""Magnitude: small weights go."""

from __future__ import annotations

import torch

from fairopt.compress.prune_options import Amount, Magnitude
from fairopt.compress.pruners.base import Needs, Pruned
from fairopt.compress.pruners.selection import keep_in_layer, keep_in_rows, masked
from fairopt.compress.solvers.base import Statistics


class MagnitudePruner:
    """Score ``|w|``. A scope of the whole model is resolved to a ratio of each layer before."""

    needs: Needs = "nothing"

    def __init__(self, options: Magnitude) -> None:
        self._options = options

    def prune(self, weight: torch.Tensor, amount: Amount, statistics: Statistics | None, seed: int) -> Pruned:
        """See :class:`~fairopt.compress.pruners.base.LayerPruner`."""
        keep = keep_in_rows if self._options.scope == "row" else keep_in_layer
        return masked(weight, keep(weight, amount))
