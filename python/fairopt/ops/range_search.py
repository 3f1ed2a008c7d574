"""Rounding to nearest in the best of many ranges."""

from __future__ import annotations

import torch

from fairopt.ops._library import register_constant
from fairopt.ops.quantize_blockwise import _fake_quantize_blockwise


def range_search(
    weight: torch.Tensor, format: str, block: int, grid: int = 80, norm: float = 2.4
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Quantise each block in the range, shrunk in steps of 1 %, that minimises ``sum |q - w|^norm``.

    The search of GPTQ's code. A range has to beat rounding to nearest by more than the search's own rounding errors, so
    the result is never worse; its bits depend neither on threads nor on the instruction set. Not differentiable.

    Args:
        weight: [n, k] float32, finite, on the CPU.
        format, block: as for :func:`quantize_blockwise`.
        grid: ranges that are tried, ``1 - i / 100`` of the block's for i < grid; from 1, which is rounding to nearest,
            to 100.
        norm: exponent of the errors, from 0.5 to 8.

    Returns:
        codes, scales, zeros as :func:`quantize_blockwise` returns them.
    """
    codes, scales, zeros = torch.ops.fairopt.range_search.default(weight, format, block, grid, norm)
    return codes, scales, zeros


def _fake_range_search(
    weight: torch.Tensor, format: str, block: int, grid: int = 80, norm: float = 2.4
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return _fake_quantize_blockwise(weight, format, block)


torch.library.register_fake("fairopt::range_search", _fake_range_search)
register_constant("range_search")
