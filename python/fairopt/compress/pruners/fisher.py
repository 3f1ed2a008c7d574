"""Fisher: weights that the predictions hardly depend on go."""

from __future__ import annotations

import torch

from fairopt.compress.prune_options import Amount, Fisher
from fairopt.compress.pruners.base import Needs, Pruned
from fairopt.compress.pruners.selection import keep_in_layer, masked
from fairopt.compress.solvers.base import Statistics


class FisherPruner:
    """Score ``w^2 F`` within the layer, F the mean of the squared gradients over the sequences."""

    needs: Needs = "gradients"

    def __init__(self, options: Fisher) -> None:
        pass

    def prune(self, weight: torch.Tensor, amount: Amount, statistics: Statistics | None, seed: int) -> Pruned:
        """See :class:`~fairopt.compress.pruners.base.LayerPruner`."""
        assert statistics is not None
        assert statistics.gradients is not None
        score = weight.float().square() * statistics.gradients.mean_square
        return masked(weight, keep_in_layer(score if score.any() else weight, amount))  # no gradient: an idle expert
