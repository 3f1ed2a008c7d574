"""What solvers that work on a whole decoder block share: its error, and weights that stand in for a while."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import nn

from fairopt import ops
from fairopt.compress.layers import as_rows
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
    layers = {name: block.get_submodule(name) for name in weights}
    saved = {name: _parameter(layer).data for name, layer in layers.items()}
    try:
        for name, weight in weights.items():
            _parameter(layers[name]).data = as_rows(layers[name], weight)  # its own inverse
        yield
    finally:
        for name, data in saved.items():
            _parameter(layers[name]).data = data


def _parameter(layer: nn.Module) -> nn.Parameter:
    assert isinstance(layer.weight, nn.Parameter)
    return layer.weight


@torch.no_grad()
def block_error(block: nn.Module, calls: Sequence[BlockCall], wanted: Sequence[torch.Tensor]) -> float:
    """Mean squared difference between what the block makes of the calls and ``wanted``, summed in float64."""
    total = sum(squared_error(call(block), output) for call, output in zip(calls, wanted, strict=True))
    return total / sum(output.numel() for output in wanted)


def squared_error(a: torch.Tensor, b: torch.Tensor) -> float:
    """Of all values, summed in float64."""
    return float((a - b).square_().sum(dtype=torch.float64))


def spread(calls: Sequence[BlockCall], tokens: int) -> dict[int, BlockCall]:
    """Index -> call, of as many calls as hold ``tokens`` tokens, at least one, at even distances."""
    mean = sum(call.tokens for call in calls) / len(calls)
    count = min(len(calls), max(1, round(tokens / mean)))
    return {i * len(calls) // count: calls[i * len(calls) // count] for i in range(count)}
