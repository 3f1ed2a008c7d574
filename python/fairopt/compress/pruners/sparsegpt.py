"""SparseGPT: weights go column by column, and those that are left make up for them."""

from __future__ import annotations

from typing import TypedDict

import torch

from fairopt import ops
from fairopt.compress.prune_options import Amount, KeepNOfM, SparseGpt
from fairopt.compress.pruners.base import Needs, Pruned
from fairopt.compress.pruners.selection import count_in_layer, keep_in_layer, masked
from fairopt.compress.second_order import damped_loss, target_of
from fairopt.compress.solvers.base import Statistics


class SparseGptPruner:
    """Minimises a layer's squared output error on the calibration tokens (Frantar and Alistarh 2023, arXiv:2301.00774).

    The notes say ``pruning_loss`` and ``magnitude_loss``, which are ``trace((W - W') H (W - W')^T)`` as it was pruned
    and for the smallest weights set to zero, with the damping that was used: ``damp``, and ``dead`` for the inputs that
    were always zero. Where :class:`Statistics` have a term for pairs, W is its target and H its A. ``dtype`` is the
    type that the layer will be stored in: a column is rounded to it before those behind make up for what it lost.
    """

    def __init__(self, options: SparseGpt, dtype: torch.dtype = torch.float32) -> None:
        self._options, self._dtype = options, dtype

    @property
    def needs(self) -> Needs:
        """The Hessian of the layer."""
        return "hessian_float64" if self._options.float64 else "hessian"

    def prune(self, weight: torch.Tensor, amount: Amount, statistics: Statistics | None, seed: int) -> Pruned:
        """See :class:`~fairopt.compress.pruners.base.LayerPruner`; nothing is random here."""
        weight = weight.float()
        target, hessian, notes = target_of(weight, statistics, self._options.damp)
        chosen = sparsegpt_amount(weight, amount)
        found = ops.sparsegpt(target, hessian, **chosen, damp=self._options.damp, dtype=self._dtype)
        loss, damp, dead = found.report.tolist()
        magnitude = masked(weight, keep_in_layer(weight, amount)).weight
        other = damped_loss(target - magnitude, hessian, damp, dead_share=0)
        return Pruned(
            found.pruned,
            found.keep,
            {"pruning_loss": loss, "magnitude_loss": other, "damp": damp, "dead": dead, **notes},
        )


class SparseGptAmount(TypedDict, total=False):
    """The options of :func:`fairopt.ops.sparsegpt` that say how many weights go."""

    prune: int
    n: int
    m: int


def sparsegpt_amount(weight: torch.Tensor, amount: Amount) -> SparseGptAmount:
    """An amount as :func:`fairopt.ops.sparsegpt` takes it."""
    if isinstance(amount, KeepNOfM):
        return {"n": amount.n, "m": amount.m}
    return {"prune": count_in_layer(weight, amount)}
