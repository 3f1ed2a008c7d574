"""SmoothQuant: outliers of the activations move into the weights, where blocks have scales of their own."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from fairopt.compress.architectures import Fold, block_layout, fold_scale, folds_among
from fairopt.compress.layers import dense_weight
from fairopt.compress.recipe import SmoothQuant
from fairopt.compress.solvers.base import BlockTask, Solved

_SMALLEST = 1e-5  # of a scale, as in the authors' code: a dead input would divide by zero


class SmoothQuantSolver:
    """Folds ``s_j = max|x_j|^alpha / max|w_j|^(1 - alpha)`` into each norm (Xiao et al. 2023, arXiv:2211.10438, eq. 4).

    The maximum over w is over all layers that read the norm; all must have the step. Only norms take part, as in the
    authors' code. Finishes no layer: what the block computes is unchanged until its weights are rounded.
    """

    def __init__(self, options: SmoothQuant) -> None:
        self._alpha = options.alpha

    def solve_block(self, task: BlockTask) -> Mapping[str, Solved]:
        """Rescale the norms and layers of the block in place."""
        layout = block_layout(task.block, "smoothquant")
        largest = _largest_inputs(task)
        for fold in folds_among(task.block, layout, task.chains):
            if fold in layout.norms:
                fold_scale(task.block, fold, self._scale(task, fold, largest[fold.layers[0]]))
        return {}

    def _scale(self, task: BlockTask, fold: Fold, x: torch.Tensor) -> torch.Tensor:
        w = torch.stack([dense_weight(task.layer(name)).abs().amax(0) for name in fold.layers]).amax(0)
        return (x**self._alpha / w.clamp(min=_SMALLEST) ** (1 - self._alpha)).clamp(min=_SMALLEST)


def _largest_inputs(task: BlockTask) -> dict[str, torch.Tensor]:
    """Layer -> max |x| [K] over the calibration tokens."""
    largest: dict[str, torch.Tensor] = {}

    def observe(name: str, x: torch.Tensor) -> None:
        here = x.abs().flatten(0, -2).amax(0)
        largest[name] = torch.maximum(largest[name], here) if name in largest else here

    task.observe(observe)
    return largest
