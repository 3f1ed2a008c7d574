"""AWQ: inputs that matter are scaled up before rounding, then the ranges of the weights are clipped."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch

from fairopt.compress.architectures import BlockLayout, Fold, block_layout, fold_scale, folds_among
from fairopt.compress.layers import dense_weight
from fairopt.compress.recipe import Quantize
from fairopt.compress.solver_options import Awq
from fairopt.compress.solvers.base import BlockCall, BlockTask, Solved
from fairopt.compress.solvers.block_error import (
    Codes,
    block_error,
    nearest,
    quantizers,
    rounded,
    spread,
    squared_error,
    standing_in,
    values,
)
from fairopt.compress.solvers.recall import Recall
from fairopt.progress import progress

_SEARCH_TOKENS = 4096  # at most: scales are compared, and the result is judged, by what the block makes of them
_KEPT = 3  # one in so many scales is left after each call of the search
_SMALLEST = 1e-4  # of a scale before it is normalised, as in the authors' code
_MOST_SHRINK = 0.5  # of a range; the authors' grid of 20 ends there after 10 steps


class AwqSolver:
    """Activation-aware weight quantisation (Lin et al. 2024, arXiv:2306.00978) at the output of the decoder block.

    Where a scale can be folded, in order: ``s = mean|x|^r / sqrt(max s * min s)`` with the r of a grid (0 is rounding
    to nearest) for which the rounded block's output is nearest to the dense one's. The authors keep other layers dense
    meanwhile; here they are rounded as decided so far, so that the error can only fall. Outputs are compared on 4096
    tokens from all over the calibration, by successive halving (Jamieson and Talwalkar 2016, arXiv:1502.07943): the
    best third after each batch goes on to the next. Then, layer by layer but for queries and keys, the range of each
    (row, group) is shrunk to where ``E (x (q - w))^2`` is least; the authors estimate that from 512 tokens, here it is
    exact over all calibration tokens (a quadratic form in the group's second moments). The better of rounding to
    nearest, scales, and scales with clipping on the 4096 tokens is kept; ``loss`` and ``rtn_loss`` are of these.
    """

    def __init__(self, options: Awq) -> None:
        self._options = options

    @torch.no_grad()
    def solve_block(self, task: BlockTask) -> Mapping[str, Solved]:
        """Fold scales into the block, and choose the codes of all its layers."""
        layout, steps = block_layout(task.block, "awq"), quantizers(task.chains)
        dense = copy.deepcopy(task.block.state_dict())
        seen = _observe(task, self._clipped_blocks(task, layout, steps))

        def loss(codes: Mapping[str, Codes]) -> float:
            k = {name: dense_weight(task.layer(name)).shape[1] for name in codes}
            weights = {name: values(codes[name], steps[name], k[name]) for name in codes}
            with standing_in(task.block, weights):
                return block_error(task.block, list(seen.calls.values()), list(seen.outputs.values()))

        def codes(weights: Mapping[str, torch.Tensor]) -> dict[str, Codes]:
            return {name: nearest(weight, steps[name]) for name, weight in weights.items()}

        plain = codes(_weights(task, steps))
        rtn_loss = loss(plain)
        self._search_scales(task, layout, steps, seen)
        candidates = [codes(_weights(task, steps))]
        if self._options.clip:
            candidates.append(codes(_clipped(task, steps, seen, self._options.grid)))
        losses = [loss(candidate) for candidate in candidates]
        best = min(range(len(losses)), key=losses.__getitem__)
        if losses[best] > rtn_loss:
            task.block.load_state_dict(dense)
            return {name: parts.solved(rtn_loss, rtn_loss) for name, parts in plain.items()}
        return {name: parts.solved(losses[best], rtn_loss) for name, parts in candidates[best].items()}

    def _clipped_blocks(self, task: BlockTask, layout: BlockLayout, steps: Mapping[str, Quantize]) -> dict[str, int]:
        """Layer whose ranges are searched -> the block of its format."""
        names = [name for name in steps if self._options.clip and name not in layout.query_key]
        return {name: steps[name].block_of(dense_weight(task.layer(name)).shape[1]) for name in names}

    def _search_scales(self, task: BlockTask, layout: BlockLayout, steps: Mapping[str, Quantize], seen: _Seen) -> None:
        folds = folds_among(task.block, layout, steps)
        with progress(f"awq {task.name}", len(folds), "scales") as advance:
            for fold in folds:
                scale = self._best_scale(task, fold, steps, seen)
                fold_scale(task.block, fold, scale)
                seen.divide(fold, scale)
                advance(1)

    def _best_scale(self, task: BlockTask, fold: Fold, steps: Mapping[str, Quantize], seen: _Seen) -> torch.Tensor:
        mean = seen.means[fold.layers[0]]  # the others see the same input
        own = {name: dense_weight(task.layer(name)) for name in fold.layers}
        others = {n: rounded(w, steps[n]) for n, w in _weights(task, steps).items() if n not in fold.layers}
        run = Recall(task.block, fold.layers)

        def scale_of(step: int) -> torch.Tensor:
            scale = (mean ** (step / self._options.grid)).clamp(min=_SMALLEST)
            return scale / (scale.max() * scale.min()).sqrt()

        def error(step: int, index: int, call: BlockCall) -> float:
            scale = scale_of(step)
            weights = {name: rounded(weight * scale, steps[name]).div_(scale) for name, weight in own.items()}
            with standing_in(task.block, weights):
                return squared_error(run(index, call), seen.outputs[index])

        with standing_in(task.block, others):
            return scale_of(_least(error, self._options.grid, seen.calls))


def _least(error: Callable[[int, int, BlockCall], float], count: int, calls: Mapping[int, BlockCall]) -> int:
    """The one of ``count`` candidates with the least sum of errors, by successive halving; the first of equals."""
    left, sums = list(range(count)), [0.0] * count
    for index, call in calls.items():
        for candidate in left:
            sums[candidate] += error(candidate, index, call)
        left = sorted(left, key=sums.__getitem__)[: -(-len(left) // _KEPT)]
        if len(left) == 1:
            break
    return left[0]


@dataclass(frozen=True)
class _Seen:
    """What one pass of all calls through the dense block shows."""

    calls: Mapping[int, BlockCall]  # those that codes are judged by
    outputs: dict[int, torch.Tensor] = field(default_factory=dict)  # of these
    means: dict[str, torch.Tensor] = field(default_factory=dict)  # layer -> mean |x| [K]
    moments: dict[str, torch.Tensor] = field(default_factory=dict)  # layer -> sum of x x^T of each group

    def divide(self, fold: Fold, scale: torch.Tensor) -> None:
        """The layers of the fold now see ``x / scale``."""
        for moment in (self.moments[name] for name in fold.layers if name in self.moments):
            groups = grouped(scale[None], moment.shape[1])[0]
            groups = torch.where(groups == 0, torch.ones_like(groups), groups)  # where the last one is filled up
            moment.div_(groups[:, :, None]).div_(groups[:, None, :])


def _observe(task: BlockTask, blocks: Mapping[str, int]) -> _Seen:
    """``blocks``: layer -> block, where second moments within blocks [groups, block, block] are wanted."""
    seen = _Seen(spread(task.calls, _SEARCH_TOKENS))
    counts: dict[str, int] = {}

    def observe(name: str, x: torch.Tensor) -> None:
        rows = x.flatten(0, -2)
        total = rows.abs().sum(0, dtype=torch.float64)
        seen.means[name] = seen.means[name] + total if name in seen.means else total
        counts[name] = counts.get(name, 0) + len(rows)
        if name in blocks:
            groups = grouped(rows, blocks[name]).transpose(0, 1)
            here = groups.transpose(1, 2) @ groups
            seen.moments[name] = seen.moments[name].add_(here) if name in seen.moments else here

    judged = dataclasses.replace(task, calls=list(seen.calls.values()))
    seen.outputs.update(zip(seen.calls, judged.run(observe), strict=True))
    dataclasses.replace(task, calls=[call for i, call in enumerate(task.calls) if i not in seen.calls]).observe(observe)
    for name, total in seen.means.items():
        seen.means[name] = (total / counts[name]).float()
    return seen


def _weights(task: BlockTask, names: Mapping[str, Quantize]) -> dict[str, torch.Tensor]:
    return {name: dense_weight(task.layer(name)) for name in names}


def _clipped(task: BlockTask, steps: Mapping[str, Quantize], seen: _Seen, grid: int) -> dict[str, torch.Tensor]:
    """The layers' weights with each (row, group) clamped to its best range."""
    weights = _weights(task, steps)
    for name, moments in seen.moments.items():
        weights[name] = _best_range(weights[name], steps[name], moments, grid)
    return weights


def grouped(x: torch.Tensor, block: int) -> torch.Tensor:
    """[rows, K] -> [rows, groups, block], the last group filled up with zeros."""
    return torch.nn.functional.pad(x, (0, -x.shape[1] % block)).reshape(len(x), -1, block)


def _best_range(weight: torch.Tensor, step: Quantize, moments: torch.Tensor, grid: int) -> torch.Tensor:
    block = moments.shape[1]
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
