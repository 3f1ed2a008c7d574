"""Modules over the tensor functions of :mod:`fairopt.ops`."""

from __future__ import annotations

from fairopt.nn.quantized_linear import QuantizedLinear

__all__ = ["QuantizedLinear"]
