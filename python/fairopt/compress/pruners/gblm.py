"""GBLM: activations and gradients together."""

from __future__ import annotations

import torch

from fairopt.compress.prune_options import Amount, Gblm
from fairopt.compress.pruners.base import Needs, Pruned
from fairopt.compress.pruners.selection import keep_in_rows, masked
from fairopt.compress.pruners.wanda import wanda_score
from fairopt.compress.solvers.base import Statistics


class GblmPruner:
    """Score ``|w_ij| (||x_j|| + alpha ||g_ij||)`` along each row (Das et al. 2023, arXiv:2311.04902).

    Both norms are L2 norms over all sequences, as the paper writes them. Its code divides the squares of x by the
    number of sequences and those of g not: there the gradients weigh ``sqrt(sequences)`` times as much.
    """

    needs: Needs = "norms_and_gradients"

    def __init__(self, options: Gblm) -> None:
        self._alpha = options.alpha

    def prune(self, weight: torch.Tensor, amount: Amount, statistics: Statistics | None, seed: int) -> Pruned:
        """See :class:`~fairopt.compress.pruners.base.LayerPruner`."""
        score = wanda_score(weight, statistics) + self._alpha * weight.float().abs() * gradient_norm(statistics)
        return masked(weight, keep_in_rows(score, amount))


def gradient_norm(statistics: Statistics | None) -> torch.Tensor:
    """The L2 norm [N, K] over the sequences of the gradients of each weight."""
    assert statistics is not None
    assert statistics.gradients is not None
    return (statistics.gradients.mean_square * statistics.gradients.sequences).sqrt()
