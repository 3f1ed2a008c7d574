"""GPTQ: rounding column by column, later columns making up for the errors of earlier ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from fairopt import ops
from fairopt.compress.recipe import Quantize
from fairopt.compress.solver_options import Gptq
from fairopt.compress.solvers.base import Solved, Statistics


@dataclass(frozen=True)
class GptqSolver:
    """Minimises a layer's squared output error on the calibration tokens (Frantar et al. 2023, arXiv:2210.17323).

    ``loss`` and ``rtn_loss`` are ``trace((W - Q) H (W - Q)^T)`` with the damping that was used, which ``notes`` says:
    ``damp``, and ``dead`` for the inputs that were always zero.
    """

    options: Gptq

    @property
    def needs(self) -> Literal["nothing", "hessian", "hessian_float64"]:
        """The Hessian of the layer."""
        return "hessian_float64" if self.options.float64 else "hessian"

    def solve(self, weight: torch.Tensor, quantize: Quantize, statistics: Statistics | None, seed: int) -> Solved:
        """See :class:`~fairopt.compress.solvers.base.LayerSolver`; nothing is random here."""
        assert statistics is not None
        assert statistics.hessian is not None
        format, k = quantize.format, weight.shape[1]
        block, hessian = quantize.block_of(k), statistics.hessian.cpu()
        found = ops.gptq(weight, hessian, format, block, self.options.act_order, self.options.damp)
        loss, damp, dead = found.report.tolist()
        nearest = ops.dequantize_blockwise(*ops.quantize_blockwise(weight, format, block), format, block, k)
        return Solved(
            found.codes,
            found.scales,
            found.zeros,
            loss,
            damped_loss(weight - nearest, hessian, damp),
            order=found.order if len(found.order) else None,
            notes={"damp": damp, "dead": dead},
        )


def damped_loss(error: torch.Tensor, hessian: torch.Tensor, damp: float) -> float:
    """``trace(E H E^T)`` of an error [n, k] with the H that :func:`fairopt.ops.gptq` factorises: dead inputs count as
    much as an average one, and ``damp`` of the average is added to all."""
    diagonal = hessian.diagonal()
    mean = diagonal.mean() if diagonal.any() else diagonal.new_ones(())
    columns = error.square().sum(0)
    return float(((error @ hessian) * error).sum() + mean * (damp * columns.sum() + columns[diagonal == 0].sum()))
