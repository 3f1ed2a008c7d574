"""What a chain makes of one linear layer."""

from __future__ import annotations

import dataclasses

import torch
from torch import nn

from fairopt import ops
from fairopt.compress.layers import dense_weight, with_dense_weight
from fairopt.compress.prune_options import KeepNOfM, Prune
from fairopt.compress.recipe import Chain, DynamicInt8, LlmInt8, Quantize
from fairopt.compress.solvers import layer_solver
from fairopt.compress.solvers.base import Solved, Statistics
from fairopt.nn import ColumnSplitLinear, DynamicInt8Linear, LlmInt8Linear, QuantizedEmbedding, QuantizedLinear


def compress_layer(layer: nn.Module, chain: Chain, seed: int = 0) -> tuple[nn.Module, dict[str, float]]:
    """A copy of a layer compressed by a chain that looks at no activations, and what its solver said."""
    pruned = prune(layer, chain)
    solved = solve_layer(pruned, chain, None, seed)
    return quantize_layer(pruned, chain, solved), report(solved)


def report(solved: Solved | None) -> dict[str, float]:
    """What a record says of the solving of a layer; nothing where it was rounded to nearest."""
    return {} if solved is None else {"loss": solved.loss, "rtn_loss": solved.rtn_loss, **solved.notes}


def prune(layer: nn.Module, chain: Chain) -> nn.Module:
    """The layer with the weights set to zero that the chain prunes; itself where it prunes none."""
    weight = dense_weight(layer)
    steps = [step for step in chain.steps if isinstance(step, Prune)]
    for step in steps:
        weight = weight.masked_fill(~_keep_mask(weight, step), 0)
    return with_dense_weight(layer, weight) if steps else layer


def solve_layer(layer: nn.Module, chain: Chain, statistics: Statistics | None, seed: int) -> Solved | None:
    """What the solver of the chain says of a dense layer; None where the chain has none."""
    solver = layer_solver(chain)
    if solver is None:
        return None
    assert isinstance(chain.quantizer, Quantize)
    weight = dense_weight(layer).float().cpu()
    if chain.rotates_inputs:
        weight = ops.hadamard_transform(weight)
        statistics = statistics and _rotated(statistics)
    return solver.solve(weight, chain.quantizer, statistics, seed)


def _rotated(statistics: Statistics) -> Statistics:
    """What calibration would have seen of rotated inputs: ``H (sum x x^T) H^T``."""
    half = ops.hadamard_transform(statistics.hessian)
    return dataclasses.replace(statistics, hessian=ops.hadamard_transform(half.T.contiguous()))


def quantize_layer(layer: nn.Module, chain: Chain, solved: Solved | None) -> nn.Module:
    """The layer that stores the codes of ``solved``, or of rounding to nearest; a dense one where nothing quantises."""
    quantizer = chain.quantizer
    if quantizer is None:
        return layer
    if isinstance(layer, nn.Embedding):
        assert isinstance(quantizer, Quantize)
        block, pad = quantizer.block_of(layer.embedding_dim), quantizer.pad or quantizer.block is None
        return QuantizedEmbedding.from_embedding(layer, quantizer.format, block, pad=pad)
    weight, bias = dense_weight(layer), layer.bias
    assert bias is None or isinstance(bias, torch.Tensor)
    if isinstance(quantizer, DynamicInt8):
        return DynamicInt8Linear.from_weight(weight, bias)
    if isinstance(quantizer, LlmInt8):
        return LlmInt8Linear.from_weight(weight, bias, threshold=quantizer.threshold)
    if quantizer.int8_share:
        return _split(weight, bias, quantizer)
    return _quantized(weight, bias, quantizer, solved, rotated=chain.rotates_inputs)


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


def _split(weight: torch.Tensor, bias: torch.Tensor | None, quantizer: Quantize) -> ColumnSplitLinear:
    """The groups of columns with the largest squared error in int8, the others in the format of the recipe."""
    k = weight.shape[1]
    block = quantizer.block_of(k)
    rounded = QuantizedLinear.from_weight(weight, None, quantizer.format, block, pad=quantizer.pad).dense_weight()
    group_of = torch.arange(k) // block
    lost = torch.zeros(-(-k // block)).index_add_(0, group_of, (rounded - weight.float()).cpu().square().sum(0))
    worst = torch.topk(lost, max(1, round(quantizer.int8_share * len(lost)))).indices
    fine = torch.isin(group_of, worst)
    parts = [(fine.nonzero()[:, 0], "int8", block), ((~fine).nonzero()[:, 0], quantizer.format, block)]
    return ColumnSplitLinear.from_weight(weight, bias, [part for part in parts if len(part[0])], pad=quantizer.pad)


def _keep_mask(weight: torch.Tensor, step: Prune) -> torch.Tensor:
    score = weight.cpu()  # there is no CUDA kernel; one pass a layer does not need one
    if isinstance(step.amount, KeepNOfM):
        mask = ops.prune_mask_n_of_m(score, step.amount.n, step.amount.m)
    else:
        assert isinstance(step.amount, float | int)
        mask = ops.prune_mask(score, round(step.amount * score.numel()))
    return mask.to(weight.device)
