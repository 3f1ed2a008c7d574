"""What the tests of the operators share: formats, random weights and the error that fp32 products may have."""

from __future__ import annotations

from typing import NamedTuple

import torch

from fairopt import ops

DTYPES = [torch.float32, torch.float16, torch.bfloat16]


class Weight(NamedTuple):
    """What quantize_blockwise returned, and how."""

    codes: torch.Tensor
    scales: torch.Tensor
    zeros: torch.Tensor
    format: str
    block: int

    def to(self, device: str) -> Weight:
        return Weight(*(t.to(device) for t in self[:3]), self.format, self.block)

    def dense(self, cols: int) -> torch.Tensor:
        return ops.dequantize_blockwise(*self, cols)

    def linear(self, x: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
        return ops.quantized_linear(x, *self[:3], bias, self.format, self.block)


def normal(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def quantized(x: torch.Tensor, format: str = "nf4", block: int = 32) -> Weight:
    return Weight(*ops.quantize_blockwise(x, format, block), format, block)


def linear_bound(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, dtype: torch.dtype) -> torch.Tensor:
    """How far an fp32 sum of k products, in any order, plus bias, rounded to ``dtype``, may lie from the exact one.

    Each of the k + 1 operations rounds by at most u = 2^-24 of a partial sum, which is at most the sum of magnitudes:
    gamma(k + 1) = (k + 1) u / (1 - (k + 1) u) (Higham, Accuracy and Stability, section 3.1). The final rounding adds
    half an ulp of ``dtype``, and fp16 half of its smallest subnormal, 2^-25.
    """
    magnitude = x.double().abs() @ weight.double().abs().T + (0 if bias is None else bias.double().abs())
    u = (x.shape[-1] + 1) * 2.0**-24
    bound = u / (1 - u) * magnitude
    if dtype == torch.float32:
        return bound
    return bound + torch.finfo(dtype).eps / 2 * (magnitude + bound) + 2.0**-25
