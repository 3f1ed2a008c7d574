"""AWQ: inputs that matter are scaled up before rounding, then the ranges of the weights are clipped."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch

from fairopt.compress.architectures import BlockLayout, Fold, block_layout, fold_scale, folds_among
from fairopt.compress.layers import dense_weight
from fairopt.compress.recipe import Quantize
from fairopt.compress.solver_options import Awq
from fairopt.compress.solvers.base import BlockCall, BlockTask, Solved
from fairopt.compress.solvers.block_error import (
    Codes,
    block_error,
    first_calls,
    nearest,
    quantizers,
    rounded,
    standing_in,
    values,
)

_SEARCH_TOKENS = 4096  # by which scales are compared: a pass through the block for each step of each grid
_SMALLEST = 1e-4  # of a scale before it is normalised, as in the authors' code
_MOST_SHRINK = 0.5  # of a range; the authors' grid of 20 ends there after 10 steps


class AwqSolver:
    """Activation-aware weight quantisation (Lin et al. 2024, arXiv:2306.00978) at the output of the decoder block.

    Where a scale can be folded, in order: ``s = mean|x|^r / sqrt(max s * min s)`` with the r of a grid (0 is rounding
    to nearest) for which the rounded block's output is nearest to the dense one's. The authors keep other layers dense
    meanwhile; here they are rounded as decided so far, so that the error can only fall. Then, layer by layer but for
    queries and keys, the range of each (row, group) is shrunk to where ``E (x (q - w))^2`` is least; the authors
    estimate that from 512 tokens, here it is exact over all calibration tokens (a quadratic form in the group's second
    moments). The better of rounding to nearest, scales, and scales with clipping is kept.
    """

    def __init__(self, options: Awq) -> None:
        self._options = options

    @torch.no_grad()
    def solve_block(self, task: BlockTask) -> Mapping[str, Solved]:
        """Fold scales into the block, and choose the codes of all its layers."""
        layout, steps = block_layout(task.block, "awq"), quantizers(task.chains)
        dense = copy.deepcopy(task.block)

        def loss(codes: Mapping[str, Codes]) -> float:
            k = {name: dense_weight(task.layer(name)).shape[1] for name in codes}
            weights = {name: values(codes[name], steps[name], k[name]) for name in codes}
            with standing_in(task.block, weights):
                return block_error(task.block, task.calls, lambda i: task.calls[i](dense))

        def codes(weights: Mapping[str, torch.Tensor]) -> dict[str, Codes]:
            return {name: nearest(weight, steps[name]) for name, weight in weights.items()}

        plain = codes(_weights(task, steps))
        rtn_loss = loss(plain)
        self._search_scales(task, layout, steps)
        candidates = [codes(_weights(task, steps))]
        if self._options.clip:
            candidates.append(codes(_clipped(task, layout, steps, self._options.grid)))
        losses = [loss(candidate) for candidate in candidates]
        best = min(range(len(losses)), key=losses.__getitem__)
        if losses[best] > rtn_loss:
            task.block.load_state_dict(dense.state_dict())
            return {name: parts.solved(rtn_loss, rtn_loss) for name, parts in plain.items()}
        return {name: parts.solved(losses[best], rtn_loss) for name, parts in candidates[best].items()}

    def _search_scales(self, task: BlockTask, layout: BlockLayout, steps: Mapping[str, Quantize]) -> None:
        calls = first_calls(task.calls, _SEARCH_TOKENS)
        target = [call(task.block) for call in calls]
        means = _mean_inputs(task)
        for fold in folds_among(task.block, layout, steps):
            fold_scale(task.block, fold, self._best_scale(task, fold, steps, means, calls, target))

    def _best_scale(
        self,
        task: BlockTask,
        fold: Fold,
        steps: Mapping[str, Quantize],
        means: Mapping[str, torch.Tensor],
        calls: Sequence[BlockCall],
        target: Sequence[torch.Tensor],
    ) -> torch.Tensor:
        mean = means[fold.layers[0]]  # the others see the same input
        others = {n: rounded(w, steps[n]) for n, w in _weights(task, steps).items() if n not in fold.layers}
        best, least = torch.ones_like(mean), float("inf")
        for i in range(self._options.grid):
            scale = (mean ** (i / self._options.grid)).clamp(min=_SMALLEST)
            scale = scale / (scale.max() * scale.min()).sqrt()
            own = {name: dense_weight(task.layer(name)) * scale for name in fold.layers}
            weights = {name: rounded(weight, steps[name]) / scale for name, weight in own.items()}
            with standing_in(task.block, {**others, **weights}):
                error = block_error(task.block, calls, target)
            if error < least:
                best, least = scale, error
        return best


def _weights(task: BlockTask, names: Mapping[str, Quantize]) -> dict[str, torch.Tensor]:
    return {name: dense_weight(task.layer(name)) for name in names}


def _mean_inputs(task: BlockTask) -> dict[str, torch.Tensor]:
    """Layer -> mean |x| [K] over the calibration tokens."""
    sums: dict[str, torch.Tensor] = {}
    counts: dict[str, int] = {}

    def observe(name: str, x: torch.Tensor) -> None:
        rows = x.abs().flatten(0, -2)
        sums[name] = sums.get(name, torch.zeros_like(rows[0], dtype=torch.float64)) + rows.sum(0, dtype=torch.float64)
        counts[name] = counts.get(name, 0) + len(rows)

    task.observe(observe)
    return {name: (total / counts[name]).float() for name, total in sums.items()}


def _clipped(task: BlockTask, layout: BlockLayout, steps: Mapping[str, Quantize], grid: int) -> dict[str, torch.Tensor]:
    """The layers' weights with each (row, group) clamped to its best range."""
    blocks = {name: step.block_of(dense_weight(task.layer(name)).shape[1]) for name, step in steps.items()}
    searched = {name: block for name, block in blocks.items() if name not in layout.query_key}
    moments = _second_moments(task, searched)
    weights = _weights(task, steps)
    for name, block in searched.items():
        weights[name] = _best_range(weights[name], steps[name], moments[name], block, grid)
    return weights


def _second_moments(task: BlockTask, blocks: Mapping[str, int]) -> dict[str, torch.Tensor]:
    """Layer -> sum over tokens of x x^T within each group, [groups, block, block]."""
    moments: dict[str, torch.Tensor] = {}

    def observe(name: str, x: torch.Tensor) -> None:
        if name in blocks:
            groups = grouped(x.flatten(0, -2), blocks[name]).transpose(0, 1)
            here = groups.transpose(1, 2) @ groups
            moments[name] = moments[name] + here if name in moments else here

    task.observe(observe)
    return moments


def grouped(x: torch.Tensor, block: int) -> torch.Tensor:
    """[rows, K] -> [rows, groups, block], the last group filled up with zeros."""
    return torch.nn.functional.pad(x, (0, -x.shape[1] % block)).reshape(len(x), -1, block)


def _best_range(weight: torch.Tensor, step: Quantize, moments: torch.Tensor, block: int, grid: int) -> torch.Tensor:
    groups = grouped(weight, block)
    low, high = groups.amin(2, keepdim=True), groups.amax(2, keepdim=True)
    best, least = groups, torch.full_like(groups[..., 0], float("inf"))
    for i in range(int(grid * _MOST_SHRINK)):
        keep = 1 - i / grid
        clamped = groups.clamp(keep * low, keep * high)
        flat = clamped.flatten(1)[:, : weight.shape[1]]
        error = grouped(rounded(flat, step) - weight, block)
        loss = ((error.transpose(0, 1) @ moments).transpose(0, 1) * error).sum(2)
        better = loss < least
        best, least = torch.where(better[..., None], clamped, best), torch.where(better, loss, least)
    return best.flatten(1)[:, : weight.shape[1]]
