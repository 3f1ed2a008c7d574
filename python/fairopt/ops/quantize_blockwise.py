"""Blockwise quantisation and its inverse."""

from __future__ import annotations

import torch

from fairopt import _core
from fairopt.ops._library import register_constant


def quantize_blockwise(x: torch.Tensor, format: str, block: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Quantise along the last dimension, each block with a scale of its own. Not differentiable.

    Args:
        x: [..., k], float32, float16 or bfloat16, finite (not checked on CUDA: the answer would have to be waited for).
        format: one of ``fairopt.formats.FORMATS``.
        block: values a scale, a multiple of 16, at most 2**30; from k on, each row is one block.

    Returns:
        codes: uint8 [..., ceil(k * bits / 8)], a bit string: the first value in the high bits of the first byte.
        scales: float32 [..., ceil(k / block)].
        zeros: [..., ceil(k / block)], uint8 for the ``_asym`` formats, float32 for ``_asym_float`` and
            ``int4_tinygemm``; uint8 [0] for the others.
    """
    codes, scales, zeros = torch.ops.fairopt.quantize_blockwise.default(x, format, block)
    return codes, scales, zeros


def dequantize_blockwise(
    codes: torch.Tensor,
    scales: torch.Tensor,
    zeros: torch.Tensor,
    format: str,
    block: int,
    cols: int,
    dtype: torch.dtype = torch.float32,
) -> torch.Tensor:
    """Values of what :func:`quantize_blockwise` returned: the fp32 product with the scale, rounded once to ``dtype``.

    Args:
        codes, scales, zeros: as :func:`quantize_blockwise` returns them. Constants: no gradient is defined.
        format, block: as given to :func:`quantize_blockwise`.
        cols: k, the length of the last dimension that was quantised (the bytes of the codes leave it open).
        dtype: float32, float16 or bfloat16.

    Returns:
        [..., cols] of ``dtype``.
    """
    values: torch.Tensor = torch.ops.fairopt.dequantize_blockwise.default(
        codes, scales, zeros, format, block, cols, dtype
    )
    return values


def _fake_quantize_blockwise(
    x: torch.Tensor, format: str, block: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    bits, zeros_dtype = _core.format_layout("quantize_blockwise", format, block)
    *rows, cols = x.shape
    blocks = (cols + block - 1) // block
    codes = x.new_empty((*rows, (cols * bits + 7) // 8), dtype=torch.uint8)
    scales = x.new_empty((*rows, blocks), dtype=torch.float32)
    sizes = (*rows, blocks) if zeros_dtype else (0,)
    return codes, scales, x.new_empty(sizes, dtype=torch.float32 if zeros_dtype == "float32" else torch.uint8)


torch.library.register_fake("fairopt::quantize_blockwise", _fake_quantize_blockwise)


def _fake_dequantize_blockwise(
    codes: torch.Tensor,
    scales: torch.Tensor,
    zeros: torch.Tensor,
    format: str,
    block: int,
    cols: int,
    dtype: torch.dtype,
) -> torch.Tensor:
    return codes.new_empty((*codes.shape[:-1], cols), dtype=dtype)


torch.library.register_fake("fairopt::dequantize_blockwise", _fake_dequantize_blockwise)
register_constant("quantize_blockwise")
register_constant("dequantize_blockwise")
