"""Methods that choose codes with more care than rounding to nearest: one file each, all called as ``base`` says."""

from __future__ import annotations

from collections.abc import Callable

from fairopt.compress.recipe import SmoothQuant, Step
from fairopt.compress.solver_options import Awq, Gptq, Hqq, RangeSearch, SignRound, Solver
from fairopt.compress.solvers.awq import AwqSolver
from fairopt.compress.solvers.base import BlockSolver, LayerSolver
from fairopt.compress.solvers.gptq import GptqSolver
from fairopt.compress.solvers.signround import SignRoundSolver
from fairopt.compress.solvers.smoothquant import SmoothQuantSolver
from fairopt.compress.solvers.weight_error import HqqSolver, RangeSearchSolver

_LAYER_SOLVERS: dict[type, Callable[..., LayerSolver]] = {
    Gptq: GptqSolver,
    Hqq: HqqSolver,
    RangeSearch: RangeSearchSolver,
}
_BLOCK_SOLVERS: dict[type, Callable[..., BlockSolver]] = {
    Awq: AwqSolver,
    SignRound: SignRoundSolver,
    SmoothQuant: SmoothQuantSolver,
}


def layer_solver(options: Solver) -> LayerSolver | None:
    """What chooses the codes of a layer by itself; None for rounding to nearest, and where a block solver does."""
    make = _LAYER_SOLVERS.get(type(options))
    return None if make is None else make(options)


def block_solver(step: Step | Solver) -> BlockSolver | None:
    """What carries out a transform, or a solver, on a whole block; None for one that needs no block."""
    make = _BLOCK_SOLVERS.get(type(step))
    return None if make is None else make(step)
