"""A linear layer with int8 weights that rounds its input to int8 as it comes."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from fairopt import ops
from fairopt.nn.stored_linear import StoredLinear


class DynamicInt8Linear(StoredLinear):
    """``y = x W^T + b`` with W [out_features, in_features] in int8 and ``x`` rounded to int8, one scale a token (W8A8).

    The arithmetic is that of :func:`fairopt.ops.dynamic_int8_linear`. Buffers: ``codes`` int8 and ``scales`` fp32
    [out_features], which keep their types whatever the module is cast to. ``bias`` is a parameter or None. A new module
    holds no weights yet: make one with :meth:`from_linear`, or load a state dict into it.

    Args:
        in_features: K, the length of a row, at most 2^17.
        out_features: N, the number of rows.
        bias: whether there is one.
        device: of buffers and bias.
        dtype: of the bias.
    """

    codes: torch.Tensor
    scales: torch.Tensor
    threshold = math.inf  # no value is too large to be rounded

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.register_buffer("codes", torch.empty(out_features, in_features, device=device, dtype=torch.int8))
        self.register_buffer("scales", torch.empty(out_features, device=device, dtype=torch.float32))
        self.bias = nn.Parameter(torch.empty(out_features, device=device, dtype=dtype)) if bias else None

    @classmethod
    def from_linear(cls, linear: nn.Linear, **options: Any) -> DynamicInt8Linear:
        """Quantise the weight of ``linear``, which is not changed."""
        return cls.from_weight(linear.weight, linear.bias, **options)

    @classmethod
    def from_weight(cls, weight: torch.Tensor, bias: torch.Tensor | None, **options: Any) -> DynamicInt8Linear:
        """Quantise ``weight`` [out, in] of fp32, fp16 or bf16 by rows; ``bias`` [out] is copied."""
        n, k = weight.shape
        layer = cls(k, n, bias=False, device="meta", **options)
        codes, scales, _ = ops.quantize_blockwise(weight.detach(), "int8", -(-k // 16) * 16)
        layer.codes, layer.scales = codes.view(torch.int8), scales[:, 0].contiguous()
        if bias is not None:
            layer.bias = nn.Parameter(bias.detach().clone(), requires_grad=bias.requires_grad)
        return layer

    def options(self) -> dict[str, Any]:
        """What makes another layer of this kind, as JSON values: the keyword arguments beside device and dtype."""
        return {}

    def dense_weight(self, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        """The weight [out_features, in_features] that the codes say: the fp32 value, rounded once to ``dtype``."""
        return (self.codes * self.scales[:, None]).to(dtype)

    @property
    def bits_per_weight(self) -> float:
        """Bits of codes and scales as stored, for each weight."""
        return 8 * (self.codes.nbytes + self.scales.nbytes) / max(1, self.in_features * self.out_features)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``x`` [..., in_features] of fp32, fp16 or bf16 -> [..., out_features] of the same type."""
        x, bias = self._operands(x)
        return ops.dynamic_int8_linear(x, self.codes, self.scales, bias, self.threshold)

    def extra_repr(self) -> str:
        """What ``print(model)`` shows of this layer."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"
