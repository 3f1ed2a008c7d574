"""Modules over the tensor functions of :mod:`fairopt.ops`, and a quantised cache for keys and values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from fairopt.nn.column_split_linear import ColumnSplitLinear
from fairopt.nn.dynamic_int8_linear import DynamicInt8Linear
from fairopt.nn.llm_int8_linear import LlmInt8Linear
from fairopt.nn.masked import keep_zeros, masked, unmasked
from fairopt.nn.packing import pack
from fairopt.nn.quantized_embedding import QuantizedEmbedding
from fairopt.nn.quantized_linear import QuantizedLinear, set_matmul_mode
from fairopt.nn.sparse_linear import SparseLinear

if TYPE_CHECKING:
    from fairopt.nn.quantized_cache import QuantizedCache

__all__ = [
    "ColumnSplitLinear",
    "DynamicInt8Linear",
    "LlmInt8Linear",
    "QuantizedCache",
    "QuantizedEmbedding",
    "QuantizedLinear",
    "SparseLinear",
    "StoredLayer",
    "keep_zeros",
    "masked",
    "pack",
    "set_matmul_mode",
    "unmasked",
]

# What stands for a linear layer or an embedding with quantised or sparse weights.
StoredLayer: TypeAlias = QuantizedLinear | DynamicInt8Linear | ColumnSplitLinear | QuantizedEmbedding | SparseLinear


def __getattr__(name: str) -> Any:
    if name == "QuantizedCache":  # it needs transformers, which takes seconds to import
        from fairopt.nn.quantized_cache import QuantizedCache

        return QuantizedCache
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
