"""Ordinary dense weights: what the codes say, rounded once to the type of the model. Everything reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from fairopt.compress.interchange.folder import tensors_beside
from fairopt.compress.layers import compressible_layers, dense_weight
from fairopt.compress.quantization_config import stored_layers
from fairopt.progress import progress

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def tensors_of(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """All tensors of the dense model that ``model`` was made from, with the weights that it has now."""
    with torch.device("meta"):
        original = compressible_layers(type(model)(model.config))  # it knows which weights lie transposed
    layers = stored_layers(model)
    found = tensors_beside(model, layers)
    with progress("export", len(layers), "layers") as advance:
        for path, layer in layers.items():
            weight, stored = layer.dense_weight(model.dtype), original[path].weight
            assert isinstance(stored, torch.Tensor)
            transposed = dense_weight(original[path]).stride() != stored.stride()
            found[f"{path}.weight"] = weight.t() if transposed else weight
            advance(1)
    return found
