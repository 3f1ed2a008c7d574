"""Weights of a whole model in the order in which the kernels read them."""

from __future__ import annotations

from torch import nn

from fairopt.nn.quantized_linear import QuantizedLinear
from fairopt.nn.sparse_linear import SparseLinear


def pack(model: nn.Module) -> None:
    """Let every quantised or sparse layer of a model lie as the kernels of its device read it (``layer.pack()``).

    ``fairopt.compress`` and ``fairopt.load`` do it; a model that was built by hand or moved piece by piece needs it.
    """
    for module in model.modules():
        if isinstance(module, QuantizedLinear | SparseLinear):
            module.pack()
