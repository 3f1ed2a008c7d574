"""Wanda: weights that little goes through go."""

from __future__ import annotations

import torch

from fairopt.compress.prune_options import Amount, Wanda
from fairopt.compress.pruners.base import Needs, Pruned
from fairopt.compress.pruners.selection import keep_in_rows, masked
from fairopt.compress.solvers.base import Statistics


class WandaPruner:
    """Score ``|w_ij| ||x_j||``, compared along each row (Sun et al. 2024, arXiv:2306.11695).

    Their code has the norm over the mean of sequences, this over their sum: the same order within a row.
    """

    needs: Needs = "norms"

    def __init__(self, options: Wanda) -> None:
        pass

    def prune(self, weight: torch.Tensor, amount: Amount, statistics: Statistics | None, seed: int) -> Pruned:
        """See :class:`~fairopt.compress.pruners.base.LayerPruner`."""
        return masked(weight, keep_in_rows(weight, amount, norms_of(weight, statistics)))


def wanda_score(weight: torch.Tensor, statistics: Statistics | None) -> torch.Tensor:
    """``|w_ij| ||x_j||`` of ``weight`` [N, K]."""
    return weight.float().abs() * norms_of(weight, statistics)


def norms_of(weight: torch.Tensor, statistics: Statistics | None) -> torch.Tensor:
    """``||x_j||`` [K]; ones where no input was seen, as by an idle expert, so that the score is the magnitude."""
    assert statistics is not None
    assert statistics.norms is not None
    return statistics.norms if statistics.norms.any() else torch.ones(weight.shape[1])
