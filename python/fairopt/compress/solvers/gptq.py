"""GPTQ: rounding column by column, later columns making up for the errors of earlier ones."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from fairopt import ops
from fairopt.compress.recipe import Quantize
from fairopt.compress.second_order import damped_loss, target_of
from fairopt.compress.solver_options import Gptq
from fairopt.compress.solvers.base import Solved, SolverNeeds, Statistics


@dataclass(frozen=True)
class GptqSolver:
    """Minimises a layer's squared output error on the calibration tokens (Frantar et al. 2023, arXiv:2210.17323).

    ``loss`` and ``rtn_loss`` are ``trace((W - Q) H (W - Q)^T)`` with the damping that was used, which ``notes`` says:
    ``damp``, and ``dead`` for the inputs that were always zero. Where :class:`Statistics` have a term for pairs, W is
    its target and H its A.
    """

    options: Gptq

    @property
    def needs(self) -> SolverNeeds:
        """The Hessian of the layer."""
        return "hessian_float64" if self.options.float64 else "hessian"

    def solve(self, weight: torch.Tensor, quantize: Quantize, statistics: Statistics | None, seed: int) -> Solved:
        """See :class:`~fairopt.compress.solvers.base.LayerSolver`; nothing is random here."""
        format, k = quantize.format, weight.shape[1]
        block = quantize.block_of(k)
        target, hessian, notes = target_of(weight, statistics, self.options.damp)
        found = ops.gptq(target, hessian, format, block, self.options.act_order, self.options.damp)
        loss, damp, dead = found.report.tolist()
        nearest = ops.dequantize_blockwise(*ops.quantize_blockwise(weight, format, block), format, block, k)
        return Solved(
            found.codes,
            found.scales,
            found.zeros,
            loss,
            damped_loss(target - nearest, hessian, damp),
            order=found.order if len(found.order) else None,
            notes={"damp": damp, "dead": dead, **notes},
        )
