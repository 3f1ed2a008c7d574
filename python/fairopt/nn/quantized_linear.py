"""A linear layer whose weight stays quantised."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from fairopt import ops
from fairopt.errors import InputError


class QuantizedLinear(nn.Module):
    """``y = x W^T + b`` with W [out_features, in_features] kept quantised; the product dequantises as it goes.

    Buffers: ``codes`` uint8, ``scales`` fp32 and ``zeros`` uint8 (empty where the format has none), laid out as in
    docs/formats.md; they keep their types whatever the module is cast to. ``bias`` is a parameter or None.
    A new module holds no weights yet: make one with :meth:`from_linear`, or load a state dict into it.

    Args:
        in_features: K, the length of a row.
        out_features: N, the number of rows.
        bias: whether there is one.
        format: nf4, fp4, int8, int4_sym or int4_asym.
        block: values a scale, a multiple of 16 in [16, 4096]. The last block of a row may be short.
        device: of buffers and bias.
        dtype: of the bias.
    """

    codes: torch.Tensor
    scales: torch.Tensor
    zeros: torch.Tensor

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        format: str,
        block: int,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.format = format
        self.block = block
        # The op itself says which shapes and types it stores, without computing.
        stored = ops.quantize_blockwise(torch.empty(out_features, in_features, device="meta"), format, block)
        for name, like in zip(("codes", "scales", "zeros"), stored, strict=True):
            self.register_buffer(name, torch.empty_like(like, device=device or "cpu"))
        self.bias = nn.Parameter(torch.empty(out_features, device=device, dtype=dtype)) if bias else None

    @classmethod
    def from_linear(cls, linear: nn.Linear, format: str, block: int, *, pad: bool = False) -> QuantizedLinear:
        """Quantise the weight of ``linear``, which is not changed. ``pad`` allows a short last block in each row."""
        return cls.from_weight(linear.weight, linear.bias, format, block, pad=pad)

    @classmethod
    def from_weight(
        cls, weight: torch.Tensor, bias: torch.Tensor | None, format: str, block: int, *, pad: bool = False
    ) -> QuantizedLinear:
        """Quantise ``weight`` [out, in] of fp32, fp16 or bf16; ``bias`` [out] is copied."""
        n, k = weight.shape
        if k % block and not pad:
            raise InputError(f"QuantizedLinear: block must divide in_features = {k} unless pad is set, got {block}")
        layer = cls(k, n, bias=False, format=format, block=block, device="meta")
        layer.codes, layer.scales, layer.zeros = ops.quantize_blockwise(weight.detach(), format, block)
        if bias is not None:
            layer.bias = nn.Parameter(bias.detach().clone(), requires_grad=bias.requires_grad)
        return layer

    def dense_weight(self, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        """The weight [out_features, in_features] that the codes say: the fp32 value, rounded once to ``dtype``."""
        return ops.dequantize_blockwise(
            self.codes, self.scales, self.zeros, self.format, self.block, self.in_features, dtype
        )

    def to_linear(self, dtype: torch.dtype = torch.float32) -> nn.Linear:
        """A dense layer with the dequantised weight and a copy of the bias, both of ``dtype``."""
        linear = nn.Linear(self.in_features, self.out_features, bias=self.bias is not None, device="meta")
        linear.weight = nn.Parameter(self.dense_weight(dtype))
        if self.bias is not None:
            linear.bias = nn.Parameter(self.bias.detach().to(dtype, copy=True))
        return linear

    @property
    def bits_per_weight(self) -> float:
        """Bits of codes, scales and zero points as stored, for each weight."""
        stored = sum(buffer.numel() * buffer.element_size() for buffer in (self.codes, self.scales, self.zeros))
        return 8 * stored / max(1, self.in_features * self.out_features)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``x`` [..., in_features] of fp32, fp16 or bf16 -> [..., out_features] of the same type."""
        return ops.quantized_linear(x, self.codes, self.scales, self.zeros, self.bias, self.format, self.block)

    @property
    def qweight(self) -> torch.Tensor:
        """A stored buffer, under the name by which PEFT finds the device of a quantised layer."""
        return next(self.buffers())

    def extra_repr(self) -> str:
        """What ``print(model)`` shows of this layer."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}, "
            f"format={self.format}, block={self.block}, bits_per_weight={self.bits_per_weight:g}"
        )

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Any:
        # .to(bfloat16), .half() and .type() reach every tensor of a module through here. Scales are part of the code:
        # rounding them would change the weights, so a buffer may move but never change its type.
        before = dict(self._buffers)
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, buffer in before.items():
            after = self._buffers[name]
            if buffer is not None and after is not None and after.dtype != buffer.dtype:
                self._buffers[name] = buffer.to(after.device)
        return self
