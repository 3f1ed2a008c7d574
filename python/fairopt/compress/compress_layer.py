"""What a chain makes of one linear layer."""

from __future__ import annotations

import dataclasses

import torch
from torch import nn

from fairopt import ops
from fairopt.compress.exact_zeros import needs_whole_zero_points, solving_chain, with_whole_zero_points
from fairopt.compress.layers import dense_weight
from fairopt.compress.prune_layer import prune_layer
from fairopt.compress.prune_options import Prune
from fairopt.compress.pruners.base import layer_seed
from fairopt.compress.recipe import Chain, DynamicInt8, LlmInt8, Quantize
from fairopt.compress.solver_options import Gptq
from fairopt.compress.solvers import layer_solver
from fairopt.compress.solvers.base import LayerSolver, Solved, Statistics
from fairopt.compress.solvers.sparsegpt import SparseGptSolver
from fairopt.compress.sparse_options import Sparse
from fairopt.nn import (
    ColumnSplitLinear,
    DynamicInt8Linear,
    LlmInt8Linear,
    QuantizedEmbedding,
    QuantizedLinear,
    SparseLinear,
)


def compress_layer(
    layer: nn.Module, chain: Chain, name: str, seed: int = 0, statistics: Statistics | None = None
) -> tuple[nn.Module, dict[str, float]]:
    """A copy of the layer ``name`` compressed by a chain of steps that look at it alone, and what its record says.

    ``statistics`` are needed by steps that look at activations.
    """
    notes: dict[str, float] = {"tokens": statistics.tokens} if statistics else {}
    for step in chain.steps:
        if isinstance(step, Prune) and step is not chain.joint:
            dtype = stored_type(chain, dense_weight(layer).dtype)
            layer, said = prune_layer(layer, step, statistics, layer_seed(seed, name), dtype)
            notes |= said
    solved = solve_layer(layer, chain, statistics, seed)
    return quantize_layer(layer, chain, solved), notes | report(solved)


def report(solved: Solved | None) -> dict[str, float]:
    """What a record says of the solving of a layer; nothing where it was rounded to nearest."""
    return {} if solved is None else {"loss": solved.loss, "rtn_loss": solved.rtn_loss, **solved.notes}


def chain_solver(chain: Chain) -> LayerSolver | None:
    """What chooses the codes of a layer by itself, and perhaps prunes it; None where nothing does."""
    quantizer = chain.quantizer
    if not isinstance(quantizer, Quantize):
        return None
    if chain.joint is not None:
        return SparseGptSolver(chain.joint, quantizer.solver if isinstance(quantizer.solver, Gptq) else None)
    return layer_solver(quantizer.solver)


def solve_layer(layer: nn.Module, chain: Chain, statistics: Statistics | None, seed: int) -> Solved | None:
    """What the solver of the chain says of a dense layer, in the format of :func:`solving_chain`; None without one."""
    quantizer = solving_chain(chain).quantizer
    solver = chain_solver(chain)
    if solver is None:
        return None
    assert isinstance(quantizer, Quantize)
    weight = dense_weight(layer).float().cpu()
    if chain.rotates_inputs:
        weight = ops.hadamard_transform(weight)
        statistics = statistics and _rotated(statistics)
    return solver.solve(weight, quantizer, statistics, seed)


def _rotated(statistics: Statistics) -> Statistics:
    """What calibration would have seen of rotated inputs: ``H (sum x x^T) H^T``."""
    assert statistics.hessian is not None
    half = ops.hadamard_transform(statistics.hessian)
    return dataclasses.replace(statistics, hessian=ops.hadamard_transform(half.T.contiguous()))


def quantize_layer(layer: nn.Module, chain: Chain, solved: Solved | None) -> nn.Module:
    """The layer that stores the codes of ``solved``, or of rounding to nearest; a dense one where nothing quantises.

    ``solved`` has the format of :func:`~fairopt.compress.exact_zeros.solving_chain`.
    """
    quantizer = chain.quantizer
    if quantizer is None:
        return layer
    if needs_whole_zero_points(chain):
        assert isinstance(quantizer, Quantize)
        if not quantizer.int8_share:
            solved = with_whole_zero_points(dense_weight(layer), quantizer, solved)
    if isinstance(layer, nn.Embedding):
        assert isinstance(quantizer, Quantize)
        return _quantized_embedding(layer, quantizer, solved)
    weight, bias = dense_weight(layer), layer.bias
    assert bias is None or isinstance(bias, torch.Tensor)
    if not isinstance(quantizer, Quantize):
        return _without_blocks(weight, bias, quantizer)
    if quantizer.int8_share:
        return _split(weight, bias, quantizer, whole_zero_points=needs_whole_zero_points(chain))
    return _quantized(weight, bias, quantizer, solved, rotated=chain.rotates_inputs)


def _without_blocks(
    weight: torch.Tensor, bias: torch.Tensor | None, quantizer: DynamicInt8 | LlmInt8 | Sparse
) -> nn.Module:
    if isinstance(quantizer, Sparse):
        return SparseLinear.from_weight(weight, bias, quantizer.value_type)
    if isinstance(quantizer, LlmInt8):
        return LlmInt8Linear.from_weight(weight, bias, threshold=quantizer.threshold)
    return DynamicInt8Linear.from_weight(weight, bias)


def in_type_of(weight: torch.Tensor, chain: Chain) -> Chain:
    """The chain that stores sparse values in the type of ``weight`` where it names none: blocks are solved in fp32."""
    if chain.quantizer != Sparse():
        return chain
    values = next(short for short, name in Sparse.TYPES.items() if getattr(torch, name) == weight.dtype)
    return Chain((*chain.steps[:-1], Sparse(values)))


def stored_type(chain: Chain, dtype: torch.dtype) -> torch.dtype:
    """The type of the values that pruning leaves in a layer of ``dtype``; float32 where codes are made of them."""
    if chain.quantizer is None or chain.quantizer == Sparse():
        return dtype
    values = chain.quantizer.value_type if isinstance(chain.quantizer, Sparse) else "int8"
    return torch.float32 if values in (None, "int8") else getattr(torch, values)


def _quantized(
    weight: torch.Tensor, bias: torch.Tensor | None, quantizer: Quantize, solved: Solved | None, *, rotated: bool
) -> QuantizedLinear:
    k = weight.shape[1]
    block = quantizer.block_of(k)
    format, nested = quantizer.format, quantizer.double_quant
    if solved is None:
        pad = quantizer.pad or quantizer.block is None
        return QuantizedLinear.from_weight(weight, bias, format, block, pad=pad, double_quant=nested, rotated=rotated)
    rows = solved.codes, solved.scales, solved.zeros
    return QuantizedLinear.from_codes(
        *rows, bias, format, block, k, order=solved.order, double_quant=nested, rotated=rotated
    )


def _quantized_embedding(layer: nn.Embedding, quantizer: Quantize, solved: Solved | None) -> QuantizedEmbedding:
    block, pad = quantizer.block_of(layer.embedding_dim), quantizer.pad or quantizer.block is None
    table = QuantizedEmbedding.from_embedding(layer, quantizer.format, block, pad=pad)
    if solved is not None:
        table.codes, table.scales, table.zeros = solved.codes, solved.scales, solved.zeros
    return table


def _split(
    weight: torch.Tensor, bias: torch.Tensor | None, quantizer: Quantize, *, whole_zero_points: bool
) -> ColumnSplitLinear:
    """The groups of columns with the largest squared error in int8, the others in the format of the recipe."""
    k = weight.shape[1]
    block = quantizer.block_of(k)
    rounded = QuantizedLinear.from_weight(weight, None, quantizer.format, block, pad=quantizer.pad).dense_weight()
    group_of = torch.arange(k) // block
    lost = torch.zeros(-(-k // block)).index_add_(0, group_of, (rounded - weight.float()).cpu().square().sum(0))
    worst = torch.topk(lost, max(1, round(quantizer.int8_share * len(lost)))).indices
    fine = torch.isin(group_of, worst)
    parts = [(fine.nonzero()[:, 0], "int8", block), ((~fine).nonzero()[:, 0], quantizer.format, block)]
    layer = ColumnSplitLinear.from_weight(weight, bias, [part for part in parts if len(part[0])], pad=quantizer.pad)
    if whole_zero_points and not fine.all():
        coarse = weight[:, ~fine]
        solved = with_whole_zero_points(coarse, quantizer, None)
        layer.parts[1] = _quantized(coarse, None, quantizer, solved, rotated=False)
    return layer
