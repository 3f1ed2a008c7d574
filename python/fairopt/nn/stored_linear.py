"""What linear layers have in common whose weight is stored in another form."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import nn

from fairopt.errors import InputError
from fairopt.nn.typed_buffers import TypedBuffers


class _DenseWeight:
    """The weight in the type of the bias, fp32 without one, made anew at each look; a layer may hide it by its own."""

    def __get__(self, layer: StoredLinear | None, owner: type) -> Any:
        if layer is None:
            return self
        return layer.dense_weight(torch.float32 if layer.bias is None else layer.bias.dtype)


class StoredLinear(TypedBuffers, ABC):
    """A linear layer that can say its weight in full.

    ``weight`` is there for models that look at it beside calling the layer, as T5 and Mamba do: dense, a constant.
    """

    in_features: int
    out_features: int
    bias: nn.Parameter | None
    weight = _DenseWeight()

    @abstractmethod
    def dense_weight(self, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        """The weight [out_features, in_features] that is stored: the fp32 value, rounded once to ``dtype``."""

    def to_linear(self, dtype: torch.dtype = torch.float32) -> nn.Linear:
        """A dense layer with :meth:`dense_weight` and a copy of the bias, both of ``dtype``; it rounds no input."""
        linear = nn.Linear(self.in_features, self.out_features, bias=self.bias is not None, device="meta")
        linear.weight = nn.Parameter(self.dense_weight(dtype))
        if self.bias is not None:
            linear.bias = nn.Parameter(self.bias.detach().to(dtype, copy=True))
        return linear

    def _operands(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Input and bias as the product takes them: under autocast in its type, as ``nn.Linear`` does."""
        check_width(self, x, self.in_features)
        device = x.device.type
        if device not in ("cpu", "cuda") or not torch.is_autocast_enabled(device) or x.dtype == torch.float64:
            return x, self.bias
        dtype = torch.get_autocast_dtype(device)
        return x.to(dtype) if x.is_floating_point() else x, None if self.bias is None else self.bias.to(dtype)


def check_width(layer: nn.Module, x: torch.Tensor, in_features: int) -> None:
    """Refuse an ``x`` with rows of another length: the packed layout has room for columns that are not there."""
    shape = x.shape
    if not shape or shape[-1] != in_features:
        raise InputError(f"{type(layer).__name__}: x must be [..., {in_features}], got {list(shape)}")
