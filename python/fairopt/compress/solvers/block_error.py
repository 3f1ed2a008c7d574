"""What solvers that work on a whole decoder block share: its error, and weights that stand in for a while."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import nn

from fairopt import ops
from fairopt.compress.layers import dense_weight
from fairopt.compress.recipe import Chain, Quantize
from fairopt.compress.solvers.base import BlockCall, Solved


class Codes(NamedTuple):
    """What ``ops.quantize_blockwise`` returns."""

    codes: torch.Tensor
    scales: torch.Tensor
    zeros: torch.Tensor

    def solved(self, loss: float, rtn_loss: float) -> Solved:
        """The same as a solver's answer."""
        return Solved(*self, loss=loss, rtn_loss=rtn_loss)


def nearest(weight: torch.Tensor, quantize: Quantize) -> Codes:
    """``weight`` [N, K] rounded to nearest."""
    return Codes(*ops.quantize_blockwise(weight.contiguous(), quantize.format, quantize.block_of(weight.shape[1])))


def values(codes: Codes, quantize: Quantize, k: int) -> torch.Tensor:
    """The weight [N, K] that codes stand for."""
    return ops.dequantize_blockwise(*codes, quantize.format, quantize.block_of(k), k)


def rounded(weight: torch.Tensor, quantize: Quantize) -> torch.Tensor:
    """``weight`` [N, K] after rounding to nearest, dense again."""
    return values(nearest(weight, quantize), quantize, weight.shape[1])


def quantizers(chains: Mapping[str, Chain]) -> dict[str, Quantize]:
    """Layer -> its quantiser, of the chains that end in one."""
    found = {name: chain.quantizer for name, chain in chains.items()}
    return {name: step for name, step in found.items() if isinstance(step, Quantize)}


@contextmanager
def standing_in(block: nn.Module, weights: Mapping[str, torch.Tensor]) -> Iterator[None]:
    """Layers of ``block`` compute with these weights [N, K] until the context ends."""
    views = {name: dense_weight(block.get_submodule(name)) for name in weights}
    saved = {name: view.clone() for name, view in views.items()}
    try:
        with torch.no_grad():
            for name, weight in weights.items():
                views[name].copy_(weight)
        yield
    finally:
        with torch.no_grad():
            for name, weight in saved.items():
                views[name].copy_(weight)


def mean_square(errors: Iterator[torch.Tensor]) -> float:
    """Of all values, summed in float64."""
    total, count = 0.0, 0
    for error in errors:
        total += float(error.double().square().sum())
        count += error.numel()
    return total / max(1, count)


@torch.no_grad()
def block_error(
    block: nn.Module, calls: Sequence[BlockCall], wanted: Callable[[int], torch.Tensor] | Sequence[torch.Tensor]
) -> float:
    """Mean squared difference between the block's outputs and ``wanted``, by the number of the call."""
    target = wanted if callable(wanted) else wanted.__getitem__
    return mean_square(call(block) - target(i) for i, call in enumerate(calls))


def first_calls(calls: Sequence[BlockCall], tokens: int) -> list[BlockCall]:
    """As many calls as hold ``tokens`` tokens, at least one."""
    chosen: list[BlockCall] = []
    for call in calls:
        if tokens <= 0:
            break
        chosen.append(call)
        tokens -= call.hidden.shape[0] * call.hidden.shape[1]
    return chosen
