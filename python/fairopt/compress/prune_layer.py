"""What a pruning step makes of one linear layer."""

from __future__ import annotations

from torch import nn

from fairopt.compress.layers import dense_weight, with_dense_weight
from fairopt.compress.prune_options import Prune
from fairopt.compress.pruners import layer_pruner
from fairopt.compress.solvers.base import Statistics


def prune_layer(
    layer: nn.Module, step: Prune, statistics: Statistics | None, seed: int
) -> tuple[nn.Module, dict[str, float]]:
    """A layer of the same kind with zeros, and what its record says: the share ``kept``, and the pruner's notes.

    ``seed`` is the layer's own (:func:`fairopt.compress.pruners.base.layer_seed`).
    """
    weight = dense_weight(layer)
    # Scores and selection run on the CPU; one pass a layer does not need more.
    pruned = layer_pruner(step).prune(weight.float().cpu().contiguous(), step.amount, statistics, seed)
    kept = int(pruned.keep.sum()) / max(1, pruned.keep.numel())
    made = with_dense_weight(layer, pruned.weight.to(weight.device, weight.dtype))
    return made, {"kept": kept, **pruned.notes}
