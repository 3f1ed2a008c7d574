"""What linear layers have in common whose weight is stored in another form."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import nn

from fairopt.nn.typed_buffers import TypedBuffers


class StoredLinear(TypedBuffers, ABC):
    """A linear layer that can say its weight in full."""

    in_features: int
    out_features: int
    bias: nn.Parameter | None

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
