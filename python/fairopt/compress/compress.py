"""Apply a recipe to a model."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from torch import nn

from fairopt import ops
from fairopt.compress import record
from fairopt.compress.layers import dense_by_default, dense_weight, linear_layers, with_dense_weight
from fairopt.compress.plan import plan
from fairopt.compress.recipe import Chain, KeepNOfM, Magnitude, Quantize, Recipe
from fairopt.compress.recipe_text import parse
from fairopt.compress.solver_options import Rtn
from fairopt.errors import InputError
from fairopt.nn import QuantizedLinear
from fairopt.progress import progress

Model = TypeVar("Model", bound=nn.Module)


def compress(model: Model, recipe: str | Mapping[str, object] | Recipe, *, seed: int = 0) -> Model:
    """A compressed copy of ``model``: its linear layers pruned and quantised as ``recipe`` says (docs/recipes.md).

    The input is never changed and shares no tensor with the result, so that both can be trained. Its dense weights are
    not copied on the way: beside the input, memory holds the compressed layers and what stays dense.

    Args:
        model: any module; of a transformers model the output head and tied layers stay dense unless named.
        recipe: text, mapping or :class:`~fairopt.compress.recipe.Recipe`.
        seed: recorded, and used by methods that draw at random; none of today's does.

    Raises:
        InputError: for a recipe that cannot be read or does not fit the model, weights that are not finite, or a model
            that is compressed already. Nothing has been computed by then.
    """
    recipe = parse(recipe)
    if record.has_record(model):
        done = record.record(model).recipe
        raise InputError(f"compress: model must be uncompressed (join steps with '+'), got one compressed by '{done}'")
    chains = plan(model, recipe)
    layers = linear_layers(model)
    # deepcopy puts what memo holds in the place of the old layer, wherever the model refers to it.
    memo: dict[int, object] = {}
    with torch.no_grad(), progress("compress", len(chains), "layers") as advance:
        for name, chain in chains.items():
            memo[id(layers[name])] = compress_layer(layers[name], chain)
            advance(1)
    result = copy.deepcopy(model, memo)
    if any(name in chains for name in dense_by_default(model)):
        _untie(result)
    record.attach(result, record.describe(recipe, chains, record.stored_bytes(model), result, seed))
    return result


def compress_layer(layer: nn.Module, chain: Chain) -> nn.Module:
    """A compressed copy of one linear layer, of the same kind or a :class:`~fairopt.nn.QuantizedLinear`."""
    weight = dense_weight(layer)
    for step in chain.steps:
        if isinstance(step, Magnitude):
            weight = weight.masked_fill(~_keep_mask(weight, step), 0)
    quantizer = chain.quantizer
    if quantizer is None:
        return with_dense_weight(layer, weight)
    if not isinstance(quantizer, Quantize) or not isinstance(quantizer.solver, Rtn):
        raise NotImplementedError(f"compress: {quantizer}")
    bias = layer.bias
    assert bias is None or isinstance(bias, torch.Tensor)
    block = quantizer.block_of(weight.shape[1])
    return QuantizedLinear.from_weight(
        weight, bias, quantizer.format, block, pad=quantizer.pad or quantizer.block is None
    )


def _keep_mask(weight: torch.Tensor, step: Magnitude) -> torch.Tensor:
    score = weight.cpu()  # there is no CUDA kernel; one pass a layer does not need one
    if isinstance(step.amount, KeepNOfM):
        mask = ops.prune_mask_n_of_m(score, step.amount.n, step.amount.m)
    else:
        mask = ops.prune_mask(score, round(step.amount * score.numel()))
    return mask.to(weight.device)


def _untie(model: nn.Module) -> None:
    """Say in the configuration that the head no longer shares the embedding, or loading would tie them again."""
    config: Any = getattr(model, "config", None)
    if getattr(config, "tie_word_embeddings", False):
        config.tie_word_embeddings = False
