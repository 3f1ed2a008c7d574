"""Which modules of a model are linear layers, and their weight as the matrix [out, in] that every method works on."""

from __future__ import annotations

import copy
import sys
from typing import Any

import torch
from torch import nn


def _is_conv1d(module: nn.Module) -> bool:
    """Whether this is the transposed linear layer of GPT-2; only where transformers is imported can there be one."""
    pytorch_utils = sys.modules.get("transformers.pytorch_utils")
    return pytorch_utils is not None and type(module) is pytorch_utils.Conv1D


def linear_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Name -> layer, in the model's order: every ``nn.Linear`` and transformers ``Conv1D``, each once.

    Subclasses are not linear layers to us: they may compute something else (torch's attention reads the weight of its
    projection directly, adapters add to it).
    """
    return {name: module for name, module in model.named_modules() if type(module) is nn.Linear or _is_conv1d(module)}


def compressible_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Name -> layer, in the model's order: the linear layers, and tables of ``nn.Embedding``."""
    linear = linear_layers(model)
    return {name: m for name, m in model.named_modules() if name in linear or type(m) is nn.Embedding}


def dense_by_default(model: nn.Module) -> set[str]:
    """Names of the layers that a recipe leaves alone unless it names them: output head, embeddings, what is tied."""
    owners: dict[int, int] = {}
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            owners[id(parameter)] = owners.get(id(parameter), 0) + 1
    head = getattr(model, "get_output_embeddings", lambda: None)()
    return {
        name
        for name, layer in compressible_layers(model).items()
        if layer is head or isinstance(layer, nn.Embedding) or owners[id(layer.weight)] > 1
    }


def dense_weight(layer: nn.Module) -> torch.Tensor:
    """The weight as [out, in], detached; a view."""
    weight = layer.weight
    assert isinstance(weight, torch.Tensor)
    return as_rows(layer, weight.detach())


def as_rows(layer: nn.Module, tensor: torch.Tensor) -> torch.Tensor:
    """A tensor that lies as the weight of ``layer`` does, as [out, in]; a view."""
    return tensor.t() if _is_conv1d(layer) else tensor


def with_dense_weight(layer: nn.Module, weight: torch.Tensor) -> nn.Module:
    """A layer of the same kind with ``weight`` [out, in] and a copy of the bias; ``layer`` is not changed."""
    stored = weight.t().contiguous() if _is_conv1d(layer) else weight.contiguous()
    old = layer.weight
    assert isinstance(old, nn.Parameter)
    return copy.deepcopy(layer, {id(old): nn.Parameter(stored, requires_grad=old.requires_grad)})


def untie(model: nn.Module) -> None:
    """Say in the configuration that the head no longer shares the embedding, or loading would tie them again."""
    config: Any = getattr(model, "config", None)
    if getattr(config, "tie_word_embeddings", False):
        config.tie_word_embeddings = False
