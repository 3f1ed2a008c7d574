"""SignRound: which way each weight is rounded, and where its range ends, learned from the block's output."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import nn
from torch.func import functional_call

from fairopt.compress.layers import dense_weight
from fairopt.compress.recipe import Quantize
from fairopt.compress.solver_options import SignRound
from fairopt.compress.solvers.awq import grouped
from fairopt.compress.solvers.base import BlockTask, Solved
from fairopt.compress.solvers.block_error import (
    Codes,
    block_error,
    nearest,
    quantizers,
    spread,
    standing_in,
    values,
)
from fairopt.compress.solvers.integer_grid import IntegerGrid, integer_grid, stored
from fairopt.progress import progress

_CHECKS = 10  # how often the codes are judged; the best are kept
_JUDGE_TOKENS = 4096  # at most
_STEP_TOKENS = 4096  # whose gradient a step follows


class SignRoundSolver:
    """Signed gradient descent (Cheng et al. 2023, arXiv:2309.05516) on the mean squared error of the block's output.

    A weight is rounded at ``w / s + V`` with V in [-0.5, 0.5] and s from the range ``[beta min, alpha max]`` of its
    block, alpha and beta in (0, 1]. All three take ``steps`` steps along the sign of their gradient, of a rate that
    falls from 1 / steps to 0; each looks at calibration batches of 4096 tokens, drawn by the seed. Ten times on the way
    the codes are judged on 4096 tokens from all over the calibration, of which ``loss`` and ``rtn_loss`` are. Step 0 is
    rounding to nearest, so the result is never worse than that. Integer formats only.
    """

    def __init__(self, options: SignRound) -> None:
        self._steps = options.steps

    @torch.no_grad()
    def solve_block(self, task: BlockTask) -> Mapping[str, Solved]:
        """The codes of all layers, learned together. The block's parameters stay as they are."""
        steps = quantizers(task.chains)
        dense = copy.deepcopy(task.block).requires_grad_(False)
        layers = {name: _Rounding(dense_weight(task.layer(name)).clone(), step) for name, step in steps.items()}

        target = functools.cache(lambda index: task.calls[index](dense))
        judged = spread(task.calls, _JUDGE_TOKENS)
        wanted = [target(index) for index in judged]

        def loss(codes: Mapping[str, Codes]) -> float:
            weights = {name: values(codes[name], steps[name], layers[name].k) for name in codes}
            with standing_in(task.block, weights):
                return block_error(task.block, list(judged.values()), wanted)

        best = {name: nearest(layer.weight, layer.step) for name, layer in layers.items()}
        rtn_loss = least = loss(best)
        draws = _draws(task)
        with progress(f"signround {task.name}", self._steps, "steps") as advance:
            for step in range(self._steps):
                for index in next(draws):
                    _add_gradients(task, dense, layers, index, target(index))
                for layer in layers.values():
                    layer.descend((1 - step / self._steps) / self._steps)
                if (step + 1) % max(1, self._steps // _CHECKS) == 0 or step + 1 == self._steps:
                    codes = {name: layer.codes() for name, layer in layers.items()}
                    if (error := loss(codes)) < least:
                        best, least = codes, error
                advance(1)
        return {name: codes.solved(least, rtn_loss) for name, codes in best.items()}


def _draws(task: BlockTask) -> Iterator[list[int]]:
    """For each step, which calls it looks at."""
    generator = torch.Generator().manual_seed(task.seed)
    count = len(spread(task.calls, _STEP_TOKENS))
    while True:
        yield torch.randperm(len(task.calls), generator=generator)[:count].tolist()


class _Rounding:
    """One layer: its weight, and what is learned about rounding it."""

    def __init__(self, weight: torch.Tensor, step: Quantize) -> None:
        self.weight, self.step, self.k = weight, step, weight.shape[1]
        self._groups = grouped(weight, step.block_of(self.k))
        self._low, self._high = self._extremes()
        self._shift = torch.zeros_like(self._groups, requires_grad=True)
        self._alpha = torch.ones_like(self._low, requires_grad=True)
        self._beta = torch.ones_like(self._low, requires_grad=True)

    def _extremes(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Of each block; the zeros that fill up the last one do not count."""
        low, high = self._groups.amin(2, keepdim=True), self._groups.amax(2, keepdim=True)
        rest = self.k % self._groups.shape[2]
        if rest:
            last = self._groups[:, -1, :rest]
            low[:, -1], high[:, -1] = last.amin(1, keepdim=True), last.amax(1, keepdim=True)
        return low, high

    def _grid(self) -> IntegerGrid:
        return integer_grid(self.step.format, self._beta * self._low, self._alpha * self._high)

    def fake_quantized(self) -> torch.Tensor:
        """[N, K], differentiable in what is learned."""
        grid = self._grid()
        return grid.values(grid.steps(self._groups, self._shift)).flatten(1)[:, : self.k]

    @torch.no_grad()
    def codes(self) -> Codes:
        """What would be stored now."""
        grid = self._grid()
        return stored(grid, grid.steps(self._groups, self._shift), self.step.format, self.k)

    @torch.no_grad()
    def descend(self, rate: float) -> None:
        """One signed step along the gradients that have been computed, within the ranges."""
        for parameter, low, high in ((self._shift, -0.5, 0.5), (self._alpha, 0.0, 1.0), (self._beta, 0.0, 1.0)):
            if parameter.grad is not None:
                parameter.sub_(rate * parameter.grad.sign()).clamp_(low, high)
                parameter.grad = None
        self._shift.masked_fill_(self._groups == 0, 0)  # what is zero, as after pruning, stays it


def _add_gradients(
    task: BlockTask, dense: nn.Module, layers: Mapping[str, _Rounding], index: int, target: torch.Tensor
) -> None:
    """Of the error of one call, to those of what is learned."""
    with torch.enable_grad():
        weights = {}
        for name, layer in layers.items():
            stored_weight, weight = task.layer(name).weight, layer.fake_quantized()
            assert isinstance(stored_weight, torch.Tensor)
            weights[f"{name}.weight"] = weight.reshape(stored_weight.shape) if _as_stored(task, name) else weight.t()
        loss = (task.calls[index](_with(dense, weights)) - target).square().mean()
        torch.autograd.backward(loss)


def _as_stored(task: BlockTask, name: str) -> bool:
    return isinstance(task.layer(name), nn.Linear)  # GPT-2 stores the transpose


def _with(block: nn.Module, weights: dict[str, torch.Tensor]) -> Callable[..., Any]:
    return lambda *args, **kwargs: functional_call(block, weights, args, kwargs)
