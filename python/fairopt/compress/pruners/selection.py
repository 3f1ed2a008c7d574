"""From scores to masks: which weights of a layer stay."""

from __future__ import annotations

import torch

from fairopt import ops
from fairopt.compress.prune_options import Amount, KeepNOfM, LayerRatio
from fairopt.compress.pruners.base import Pruned


def selectable(weight: torch.Tensor) -> torch.Tensor:
    """``weight`` where and as masks are made: on the CPU (one pass a layer needs no more), dense, in 16 or 32 bits."""
    return (weight.float() if weight.dtype == torch.float64 else weight).cpu().contiguous()


def masked(weight: torch.Tensor, keep: torch.Tensor) -> Pruned:
    """``weight`` with zeros where ``keep`` is False."""
    return Pruned(ops.apply_mask(weight, keep), keep)


def keep_in_layer(score: torch.Tensor, amount: Amount) -> torch.Tensor:
    """Of all scores [N, K] the smallest go, ``round(ratio * N * K)`` of them; or all but n of every m along a row."""
    if isinstance(amount, KeepNOfM):
        return ops.prune_mask_n_of_m(score, amount.n, amount.m)
    return ops.prune_mask(score, count_in_layer(score, amount))


def count_in_layer(weight: torch.Tensor, amount: float | LayerRatio) -> int:
    """How many of all weights [N, K] a share is."""
    return round(_ratio(amount) * weight.numel())


def keep_in_rows(score: torch.Tensor, amount: Amount, norms: torch.Tensor | None = None) -> torch.Tensor:
    """Of each row of scores [N, K] the smallest go, ``int(ratio * K)`` of them; or all but n of every m.

    ``norms`` [K] are factors of the columns.
    """
    if isinstance(amount, KeepNOfM):
        return ops.prune_mask_n_of_m(score, amount.n, amount.m, norms)
    return ops.prune_mask_rows(score, int(_ratio(amount) * score.shape[1]), norms)


def _ratio(amount: float | LayerRatio) -> float:
    return amount.ratio if isinstance(amount, LayerRatio) else amount
