"""Ordinary dense weights: what the codes say, rounded once to the type of the model. Everything reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch

from fairopt.compress.layers import dense_weight, linear_layers
from fairopt.compress.record import unique_state
from fairopt.nn import QuantizedLinear
from fairopt.progress import progress

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def tensors_of(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """All tensors of the dense model that ``model`` was made from, with the weights that it has now."""
    with torch.device("meta"):
        original = linear_layers(type(model)(model.config))  # it knows which weights lie transposed
    layers = {path: layer for path, layer in model.named_modules() if isinstance(layer, QuantizedLinear)}
    found = _dense_tensors(model, layers)
    with progress("export", len(layers), "layers") as advance:
        for path, layer in layers.items():
            weight, stored = layer.dense_weight(model.dtype), original[path].weight
            assert isinstance(stored, torch.Tensor)
            transposed = dense_weight(original[path]).stride() != stored.stride()
            found[f"{path}.weight"] = weight.t() if transposed else weight
            advance(1)
    return found


def _dense_tensors(model: PreTrainedModel, layers: Mapping[str, QuantizedLinear]) -> dict[str, torch.Tensor]:
    inside = tuple(f"{path}." for path in layers)
    state = unique_state(model)
    return {name: t for name, t in state.items() if not name.startswith(inside) or name.endswith(".bias")}
