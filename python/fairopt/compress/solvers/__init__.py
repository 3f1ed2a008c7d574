"""Methods that choose codes with more care than rounding to nearest: one file each, all called as ``base`` says."""

from __future__ import annotations

from collections.abc import Callable

from fairopt.compress.recipe import Chain, Quantize, SmoothQuant, Step
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


def layer_solver(chain: Chain) -> LayerSolver | None:
    """What chooses the codes of a layer by itself; None where that is rounding to nearest."""
    if not isinstance(chain.quantizer, Quantize):
        return None
    options = chain.quantizer.solver
    make = _LAYER_SOLVERS.get(type(options))
    return None if make is None else make(options)


def block_steps(chain: Chain) -> list[Step | Solver]:
    """The steps of a chain that work on a whole block, in order: transforms, then perhaps the quantiser's solver."""
    steps: list[Step | Solver] = [*chain.steps]
    if isinstance(chain.quantizer, Quantize):
        steps.append(chain.quantizer.solver)
    return [step for step in steps if type(step) in _BLOCK_SOLVERS]


def block_solver(step: Step | Solver) -> BlockSolver:
    """What carries out a step of :func:`block_steps`."""
    return _BLOCK_SOLVERS[type(step)](step)


def needs_calibration(chain: Chain) -> bool:
    """Whether the chain has a step that looks at activations."""
    solver = layer_solver(chain)
    return bool(block_steps(chain)) or (solver is not None and solver.needs != "nothing")
