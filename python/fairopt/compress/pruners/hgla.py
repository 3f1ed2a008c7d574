"""HGLA: high gradient, low activation goes first."""

from __future__ import annotations

import torch

from fairopt.compress.prune_options import Amount, Hgla
from fairopt.compress.pruners.base import Needs, Pruned
from fairopt.compress.pruners.gblm import gradient_norm
from fairopt.compress.pruners.selection import keep_in_rows, masked
from fairopt.compress.pruners.wanda import wanda_score
from fairopt.compress.solvers.base import Statistics

_EPSILON = 1e-8  # of their code


class HglaPruner:
    """Score ``s_ij / (c ||g_ij|| + 1e-8)`` along each row, ``s_ij = |w_ij| ||x_j||`` and ``c = mean(s) / mean(||g||)``.

    Huang et al. 2025, arXiv:2508.17610. Their release saves squared norms of g where it names norms, searches a
    threshold of its own for each row, and multiplies by g instead of dividing unless its option ``gradient_inv`` is
    given; this is the score of the paper.
    """

    needs: Needs = "norms_and_gradients"

    def __init__(self, options: Hgla) -> None:
        pass

    def prune(self, weight: torch.Tensor, amount: Amount, statistics: Statistics | None, seed: int) -> Pruned:
        """See :class:`~fairopt.compress.pruners.base.LayerPruner`."""
        score, gradient = wanda_score(weight, statistics), gradient_norm(statistics)
        if gradient.any():  # an idle expert has none
            score /= gradient * (score.mean() / gradient.mean()) + _EPSILON
        return masked(weight, keep_in_rows(score, amount))
