"""Scales stored in 8 bits (Dettmers et al. 2023, QLoRA, section 3), with bitsandbytes' values."""

from __future__ import annotations

import torch

from fairopt import _core
from fairopt.ops._library import register_constant

_BLOCK = 256


def double_quantize(scales: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Quantise scales to 8 bits, 256 of them in row-major order with a scale of their own. Not differentiable.

    The offset is the mean of all scales (summed in float64); a code is the index of the signed dynamic map's nearest
    value to ``(scale - offset) / nested_scale``, the lower one in a tie. docs/formats.md says how bitsandbytes rounds.

    Args:
        scales: float32 of any shape, finite.

    Returns:
        codes: uint8, shaped like ``scales``.
        nested_scales: float32 [ceil(scales.numel() / 256)].
        nested_offset: float32 [].
    """
    codes, nested_scales, nested_offset = torch.ops.fairopt.double_quantize.default(scales)
    return codes, nested_scales, nested_offset


def double_dequantize(codes: torch.Tensor, nested_scales: torch.Tensor, nested_offset: torch.Tensor) -> torch.Tensor:
    """Scales of what :func:`double_quantize` returned: ``map[code] * nested_scale + nested_offset``, two roundings.

    Args:
        codes, nested_scales, nested_offset: as :func:`double_quantize` returns them. Constants: no gradient is defined.

    Returns:
        float32, shaped like ``codes``; the same bits on every device.
    """
    scales: torch.Tensor = torch.ops.fairopt.double_dequantize.default(codes, nested_scales, nested_offset)
    return scales


def dynamic_map(device: torch.device | str | None = None) -> torch.Tensor:
    """The signed dynamic map of bitsandbytes: float32 [256], ascending; index = code."""
    return torch.tensor(_core.dynamic_map(), device=device)


def _double_quantize_cuda(scales: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    codes, nested_scales, nested_offset = double_quantize(scales.cpu())
    return codes.to(scales.device), nested_scales.to(scales.device), nested_offset.to(scales.device)


def _fake_double_quantize(scales: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    nested = scales.new_empty((scales.numel() + _BLOCK - 1) // _BLOCK)
    return scales.new_empty(scales.shape, dtype=torch.uint8), nested, scales.new_empty(())


def _fake_double_dequantize(
    codes: torch.Tensor, nested_scales: torch.Tensor, nested_offset: torch.Tensor
) -> torch.Tensor:
    return codes.new_empty(codes.shape, dtype=torch.float32)


torch.library.register_kernel("fairopt::double_quantize", "cuda", _double_quantize_cuda)
torch.library.register_fake("fairopt::double_quantize", _fake_double_quantize)
torch.library.register_fake("fairopt::double_dequantize", _fake_double_dequantize)
register_constant("double_quantize")
register_constant("double_dequantize")
