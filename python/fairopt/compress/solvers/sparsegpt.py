"""SparseGPT and a format together: each column is pruned and rounded before the next is looked at."""

from __future__ import annotations

import torch

from fairopt import ops
from fairopt.compress.prune_options import SparseGpt
from fairopt.compress.pruners.selection import keep_in_layer, masked
from fairopt.compress.pruners.sparsegpt import sparsegpt_amount
from fairopt.compress.recipe import Quantize
from fairopt.compress.second_order import damped_loss, target_of
from fairopt.compress.solver_options import Gptq
from fairopt.compress.solvers.base import Solved, SolverNeeds, Statistics


class SparseGptSolver:
    """The codes of a layer that loses weights at the same time (arXiv:2301.00774, section 3.5).

    ``loss`` is ``trace((W - Q) H (W - Q)^T)``; ``rtn_loss`` is the same where the smallest weights are pruned and the
    others rounded to nearest. ``notes`` as :class:`~fairopt.compress.pruners.sparsegpt.SparseGptPruner` and
    :class:`~fairopt.compress.solvers.gptq.GptqSolver` have them, and ``kept``, the share of the weights that are left.
    Of two dampings the larger counts; the order of columns is that of GPTQ's options, as they lie without.
    """

    def __init__(self, step: SparseGpt, options: Gptq | None) -> None:
        self._amount = step.amount
        self._damp = step.damp if options is None else max(step.damp, options.damp)
        self._float64 = step.float64 or (options is not None and options.float64)
        self._act_order = "none" if options is None else options.act_order

    @property
    def needs(self) -> SolverNeeds:
        """The Hessian of the layer."""
        return "hessian_float64" if self._float64 else "hessian"

    def solve(self, weight: torch.Tensor, quantize: Quantize, statistics: Statistics | None, seed: int) -> Solved:
        """See :class:`~fairopt.compress.solvers.base.LayerSolver`; nothing is random here."""
        format, block, k = quantize.format, quantize.block_of(weight.shape[1]), weight.shape[1]
        target, hessian, notes = target_of(weight, statistics, self._damp)
        found = ops.sparsegpt(
            target,
            hessian,
            **sparsegpt_amount(weight, self._amount),
            format=format,
            block=block,
            act_order=self._act_order,
            damp=self._damp,
        )
        loss, damp, dead = found.report.tolist()
        magnitude = masked(weight, keep_in_layer(weight, self._amount)).weight
        nearest = ops.dequantize_blockwise(*ops.quantize_blockwise(magnitude, format, block), format, block, k)
        return Solved(
            found.codes,
            found.scales,
            found.zeros,
            loss,
            damped_loss(target - nearest, hessian, damp, dead_share=0),
            order=found.order if len(found.order) else None,
            notes={"kept": float(found.keep.float().mean()), "damp": damp, "dead": dead, **notes},
        )
