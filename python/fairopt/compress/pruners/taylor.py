"""Taylor: weights whose removal should hardly change the loss go."""

from __future__ import annotations

import torch

from fairopt.compress.prune_options import Amount, Taylor
from fairopt.compress.pruners.base import Needs, Pruned
from fairopt.compress.pruners.selection import keep_in_layer, masked
from fairopt.compress.solvers.base import Statistics


class TaylorPruner:
    """Score ``|w g|``, or ``|w g - w^2 F / 2|``, within the layer; g is the mean gradient, F the mean of its square.

    First order: Molchanov et al. 2019, arXiv:1906.10771, whose score is the square of it. Second order: the terms that
    LLM-Pruner (Ma et al. 2023, arXiv:2305.11627) mixes for a weight, with F in the place of the Hessian's diagonal.
    """

    needs: Needs = "gradients"

    def __init__(self, options: Taylor) -> None:
        self._order = options.order

    def prune(self, weight: torch.Tensor, amount: Amount, statistics: Statistics | None, seed: int) -> Pruned:
        """See :class:`~fairopt.compress.pruners.base.LayerPruner`."""
        assert statistics is not None
        assert statistics.gradients is not None
        change = weight * statistics.gradients.mean
        if self._order == 2:
            change -= weight.float().square() * statistics.gradients.mean_square / 2
        return masked(weight, keep_in_layer(change if change.any() else weight, amount))  # no gradient: an idle expert
