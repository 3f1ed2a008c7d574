"""Half-quadratic quantisation."""

from __future__ import annotations

import torch

from fairopt.ops._library import register_constant
from fairopt.ops.quantize_blockwise import _fake_quantize_blockwise


def hqq(
    weight: torch.Tensor,
    format: str,
    block: int,
    norm: float = 0.7,
    beta: float = 10.0,
    kappa: float = 1.01,
    iterations: int = 20,
    best: bool = True,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Quantise with the float zero points that minimise ``sum |q - w|^norm``, by half-quadratic splitting.

    Badri and Shaji 2023, "Half-Quadratic Quantization of Large Machine Learning Models"; docs/recipes.md has the steps.
    Computed in fp32, where the authors' code is fp16 on a GPU. Not differentiable.

    Args:
        weight: [n, k] float32, finite, on the CPU.
        format: int2_asym_float to int8_asym_float.
        block: as for :func:`quantize_blockwise`.
        norm: exponent of the errors, above 0 and at most 1.
        beta: of the first shrinking step, positive.
        kappa: what beta grows by in each iteration, at least 1 (the authors' release 0.2.8 leaves it at 1).
        iterations: at most, from 1 to 1000; they end when the mean error over the whole weight stops falling.
        best: keep the best zero point of each block, or rounding to nearest if that is better: never worse than it.
            False keeps that of the last iteration, as the authors' code does.

    Returns:
        codes, scales, zeros as :func:`quantize_blockwise` returns them.
    """
    codes, scales, zeros = torch.ops.fairopt.hqq.default(weight, format, block, norm, beta, kappa, iterations, best)
    return codes, scales, zeros


def _fake_hqq(
    weight: torch.Tensor,
    format: str,
    block: int,
    norm: float = 0.7,
    beta: float = 10.0,
    kappa: float = 1.01,
    iterations: int = 20,
    best: bool = True,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return _fake_quantize_blockwise(weight, format, block)


torch.library.register_fake("fairopt::hqq", _fake_hqq)
register_constant("hqq")
