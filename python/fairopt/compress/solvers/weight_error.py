"""Solvers that look at nothing but the weight: range search and HQQ. Their objective is ``sum |q - w|^norm``."""

from __future__ import annotations

from typing import Literal

import torch

from fairopt import ops
from fairopt.compress.recipe import Quantize
from fairopt.compress.solver_options import Hqq, RangeSearch
from fairopt.compress.solvers.base import Solved, Statistics
from fairopt.compress.solvers.block_error import Codes, nearest, values


class RangeSearchSolver:
    """Shrinks the range of each block to where the errors are least (``ops.range_search``)."""

    needs: Literal["nothing"] = "nothing"

    def __init__(self, options: RangeSearch) -> None:
        self._options = options

    def solve(self, weight: torch.Tensor, quantize: Quantize, statistics: Statistics | None, seed: int) -> Solved:
        """Codes of ``weight`` [N, K]."""
        grid, norm = self._options.grid, self._options.norm
        codes = ops.range_search(weight.contiguous(), quantize.format, quantize.block_of(weight.shape[1]), grid, norm)
        return _solved(weight, quantize, Codes(*codes), norm)


class HqqSolver:
    """Moves the float zero point of each block to where a robust norm of the errors is least (``ops.hqq``)."""

    needs: Literal["nothing"] = "nothing"

    def __init__(self, options: Hqq) -> None:
        self._options = options

    def solve(self, weight: torch.Tensor, quantize: Quantize, statistics: Statistics | None, seed: int) -> Solved:
        """Codes of ``weight`` [N, K]."""
        norm, iterations = self._options.norm, self._options.iterations
        block = quantize.block_of(weight.shape[1])
        codes = ops.hqq(weight.contiguous(), quantize.format, block, norm=norm, iterations=iterations)
        return _solved(weight, quantize, Codes(*codes), norm)


def _solved(weight: torch.Tensor, quantize: Quantize, codes: Codes, norm: float) -> Solved:
    def loss(of: Codes) -> float:
        error = values(of, quantize, weight.shape[1]).double() - weight.double()
        return float(error.abs().pow(norm).sum())

    return codes.solved(loss(codes), loss(nearest(weight, quantize)))
