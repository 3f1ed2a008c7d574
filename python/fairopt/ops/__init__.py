"""Tensor functions: blockwise quantisation, the product with a quantised weight, pruning masks, scoring over a trie.

Each is a dispatcher operator ``torch.ops.fairopt.<same name>`` with a fake kernel and, where there is something to
differentiate, autograd: they work under ``torch.compile``, ``torch.export`` and in training scripts.

Formats: those of ``fairopt.formats.FORMATS`` (docs/formats.md has their definitions). A block is a multiple of 16, at
most 2**30; blocks run along the last dimension and the last one of a row may be short. Inputs are
never changed, but for the state of :func:`logsumexp_update`, and need not be contiguous; results are contiguous. Errors
are ``ValueError`` with the text ``<op>: <argument> must be <requirement>, got <value>``; a CUDA tensor where the CUDA
kernels cannot run is a ``RuntimeError`` that says why (see ``fairopt doctor``).
"""

from __future__ import annotations

from fairopt.ops.apply_mask import apply_mask
from fairopt.ops.double_quantize import double_dequantize, double_quantize
from fairopt.ops.double_quantize import dynamic_map as dynamic_map  # no operator, so not in __all__
from fairopt.ops.dynamic_int8_linear import dynamic_int8_linear
from fairopt.ops.gptq import Gptq, gptq
from fairopt.ops.hadamard_transform import hadamard_transform
from fairopt.ops.hqq import hqq
from fairopt.ops.logsumexp_update import logsumexp_update
from fairopt.ops.packed_linear import default_matmul_mode as default_matmul_mode  # not operators, so not in __all__
from fairopt.ops.packed_linear import matmul_modes as matmul_modes
from fairopt.ops.packed_linear import pack_weight, packed_linear, unpack_weight
from fairopt.ops.prune_mask import prune_mask, prune_mask_model, prune_mask_n_of_m, prune_mask_rows
from fairopt.ops.quantize_blockwise import dequantize_blockwise, quantize_blockwise
from fairopt.ops.quantized_linear import quantized_linear
from fairopt.ops.range_search import range_search
from fairopt.ops.second_order_target import SecondOrderTarget, second_order_target
from fairopt.ops.sparse_linear import from_bitmap as from_bitmap  # not operators, so not in __all__
from fairopt.ops.sparse_linear import pack_sparse, sparse_linear, unpack_sparse
from fairopt.ops.sparse_linear import to_bitmap as to_bitmap
from fairopt.ops.sparsegpt import SparseGpt, sparsegpt
from fairopt.ops.tree_attention import tree_attention

__all__ = [
    "Gptq",
    "SecondOrderTarget",
    "SparseGpt",
    "apply_mask",
    "dequantize_blockwise",
    "double_dequantize",
    "double_quantize",
    "dynamic_int8_linear",
    "gptq",
    "hadamard_transform",
    "hqq",
    "logsumexp_update",
    "pack_sparse",
    "pack_weight",
    "packed_linear",
    "prune_mask",
    "prune_mask_model",
    "prune_mask_n_of_m",
    "prune_mask_rows",
    "quantize_blockwise",
    "quantized_linear",
    "range_search",
    "second_order_target",
    "sparse_linear",
    "sparsegpt",
    "tree_attention",
    "unpack_sparse",
    "unpack_weight",
]
