"""What a pruning step makes of one linear layer."""

from __future__ import annotations

import torch
from torch import nn

from fairopt.compress.layers import dense_weight, with_dense_weight
from fairopt.compress.prune_options import Prune
from fairopt.compress.pruners import layer_pruner
from fairopt.compress.pruners.selection import selectable
from fairopt.compress.solvers.base import Statistics


def prune_layer(
    layer: nn.Module, step: Prune, statistics: Statistics | None, seed: int, dtype: torch.dtype = torch.float32
) -> tuple[nn.Module, dict[str, float]]:
    """A layer of the same kind with zeros, and what its record says: the share ``kept``, and the pruner's notes.

    ``seed`` is the layer's own (:func:`fairopt.compress.pruners.base.layer_seed`), ``dtype`` the type that what is left
    will be stored in.
    """
    weight = dense_weight(layer)
    pruned = layer_pruner(step, dtype).prune(selectable(weight), step.amount, statistics, seed)
    kept = int(torch.count_nonzero(pruned.keep)) / max(1, pruned.keep.numel())  # 20 times as fast as a sum of bools
    made = with_dense_weight(layer, pruned.weight.to(weight.device, weight.dtype))
    return made, {"kept": kept, **pruned.notes}
