"""Folders of other libraries: a compressed model written as one, and one read as a compressed model."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from fairopt.compress import model_folder, weight_files
from fairopt.compress.interchange.layout import Layout, rotation_refusal
from fairopt.compress.layers import dense_weight, linear_layers
from fairopt.compress.quantization_config import stored_layers
from fairopt.compress.record import unique_state
from fairopt.errors import InputError
from fairopt.nn import QuantizedLinear
from fairopt.progress import progress

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def layers_to_write(model: nn.Module, layout: Layout, name: str) -> dict[str, QuantizedLinear]:
    """The quantised layers of a model; an error that names the first one which the layout has no room for."""
    layers = stored_layers(model)
    if not layers:
        raise InputError(f"export: model must have quantised layers for '{name}', got none (dense writes any model)")
    for path, layer in layers.items():
        if not isinstance(layer, QuantizedLinear):
            got = type(layer).__name__
            raise InputError(f"export: layers must be QuantizedLinear, got {got} in '{path}' for '{name}'")
        if refused := layout.refusal(layer) or rotation_refusal(layer):
            raise InputError(f"export: layers must be {refused} in '{path}' for '{name}'")
    return layers


def tensors_of(
    model: PreTrainedModel, layers: Mapping[str, QuantizedLinear], layout: Layout
) -> dict[str, torch.Tensor]:
    """All tensors of the model, those of ``layers`` as the layout stores them; tied tensors once."""
    found = tensors_beside(model, layers)
    with progress("export", len(layers), "layers") as advance:
        for path, layer in layers.items():
            try:
                stored = layout.write(layer, model.dtype)
            except InputError as error:
                raise InputError(f"export: layer '{path}': {error}") from None
            found |= {f"{path}.{suffix}": tensor for suffix, tensor in stored.items()}
            advance(1)
    return found


def tensors_beside(model: nn.Module, layers: Collection[str]) -> dict[str, torch.Tensor]:
    """The tensors of the model that do not belong to the weights of ``layers``; their biases do not. Tied ones once."""
    inside = tuple(f"{path}." for path in layers)
    kept = {f"{path}.bias" for path in layers}
    state = unique_state(model)
    return {name: tensor for name, tensor in state.items() if name in kept or not name.startswith(inside)}


def dense_layers(model: nn.Module) -> list[str]:
    """Names of the linear layers that are not quantised."""
    return list(linear_layers(model))


def read(folder: Path, model: Any, layout: Layout, quantization: Mapping[str, Any]) -> PreTrainedModel:
    """``model``, empty, with the layers and weights of a folder in that layout; in evaluation mode.

    Raises :class:`~fairopt.errors.InputError`, naming file, layer or tensor, for what is truncated, missing, left over,
    of another type or of another shape than the configuration says.
    """
    tensors = _read_tensors(folder)
    marker = "." + layout.marker(quantization)
    paths = sorted(name.removesuffix(marker) for name in tensors if name.endswith(marker))
    linear = linear_layers(model)
    if not paths:
        raise InputError(f"load: '{folder}' must hold layers with '{marker[1:]}', got none")
    with progress("import", len(paths), "layers") as advance:
        for path in paths:
            if path not in linear:
                raise InputError(f"load: layer must be a linear one of {type(model).__name__}, got '{path}'")
            model.set_submodule(path, _read_layer(layout, quantization, path, linear[path], tensors))
            advance(1)
    stored = {f"{path}.{name}" for path in paths for name in model.get_submodule(path).state_dict() if name != "bias"}
    model.tie_weights()
    model_folder.fill("load", model, tensors, folder, stored)
    model.eval()
    return cast("PreTrainedModel", model)


def _read_layer(
    layout: Layout, quantization: Mapping[str, Any], path: str, dense: nn.Module, tensors: dict[str, torch.Tensor]
) -> QuantizedLinear:
    """Take the layer's tensors out of ``tensors``; its bias stays there, like every tensor of a dense layer."""
    names = [name for name in tensors if name.startswith(f"{path}.") and name != f"{path}.bias"]
    stored = {name.removeprefix(f"{path}."): tensors.pop(name) for name in names}
    out_features, in_features = dense_weight(dense).shape
    try:
        layer = layout.read(stored, quantization, out_features, in_features)
    except InputError as error:
        raise InputError(f"load: layer '{path}': {error}") from None
    if not layer.rows()[1].isfinite().all():
        raise InputError(f"load: layer '{path}': scales must be finite, got NaN or infinite values")
    bias = dense.bias
    if isinstance(bias, torch.Tensor):
        layer.bias = nn.Parameter(torch.empty_like(bias, device="meta"))
    return layer


def _read_tensors(folder: Path) -> dict[str, torch.Tensor]:
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise InputError(f"load: '{folder}' must hold safetensors files, got none (pickles are never read)")
    return weight_files.load(files)
