"""What a layout is: how another library stores a quantised linear layer, tensor by tensor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch

from fairopt.errors import InputError
from fairopt.nn import QuantizedLinear

Tensors = Mapping[str, torch.Tensor]


class Layout(Protocol):
    """One way of storing a quantised linear layer. Tensor names are those after the layer's own, ``weight.absmax``."""

    method: str  # the quant_method of config.json

    def refusal(self, layer: QuantizedLinear) -> str | None:
        """Why the layer cannot be stored so, as the rest of "must be ..."; None where it can."""
        ...

    def write(self, layer: QuantizedLinear, dtype: torch.dtype) -> dict[str, torch.Tensor]:
        """The tensors of the layer, without its bias; ``dtype`` is the model's."""
        ...

    def config(self, layers: Mapping[str, QuantizedLinear], dense: Sequence[str]) -> dict[str, Any]:
        """The quantization_config that describes these layers; those of ``dense`` are linear and not quantised."""
        ...

    def marker(self, config: Mapping[str, Any]) -> str:
        """The tensor by which a stored layer is known."""
        ...

    def read(self, tensors: Tensors, config: Mapping[str, Any], out_features: int, in_features: int) -> QuantizedLinear:
        """The layer of these tensors, without bias. Raises InputError for those that do not fit the shape."""
        ...


def rotation_refusal(layer: QuantizedLinear) -> str | None:
    """No layout has room for a rotation of the inputs: its codes would be those of another weight."""
    return "of inputs as they come, got rotated ones" if layer.rotated else None


def tensor(tensors: Tensors, name: str, dtypes: Sequence[torch.dtype], shape: Sequence[int]) -> torch.Tensor:
    """The tensor of that name, if it has one of the types and the shape; an :class:`InputError` otherwise."""
    expected = f"{' or '.join(str(dtype).removeprefix('torch.') for dtype in dtypes)} {list(shape)}"
    found = tensors.get(name)
    if found is None:
        raise InputError(f"{name} must be {expected}, got no such tensor")
    if found.dtype not in dtypes or list(found.shape) != list(shape):
        got = f"{str(found.dtype).removeprefix('torch.')} {list(found.shape)}"
        raise InputError(f"{name} must be {expected}, got {got}")
    return found


def number(config: Mapping[str, Any], key: str, least: int) -> int:
    """A whole number of a quantization_config that is at least ``least``."""
    found = config.get(key)
    if not isinstance(found, int) or isinstance(found, bool) or found < least:
        raise InputError(f"{key} must be a whole number from {least}, got {found!r}")
    return found


def finite_half(scales: torch.Tensor, what: str) -> torch.Tensor:
    """fp32 scales in fp16, as several layouts want them; an error where they do not fit."""
    half = scales.to(torch.float16)
    if not torch.isfinite(half).all():
        raise InputError(f"{what} must fit float16 (at most 65504), got {float(scales.abs().max()):g}")
    return half


def same(layers: Mapping[str, QuantizedLinear], what: str) -> Any:
    """The one value of an attribute that all layers share; the layout has no room for two."""
    values = {getattr(layer, what) for layer in layers.values()}
    if len(values) != 1:
        raise InputError(f"export: {what} must be the same in all layers, got {', '.join(sorted(map(str, values)))}")
    return values.pop()


def group_sizes(in_features: int, block: int) -> tuple[int, int]:
    """Groups a row and their size; a layout that cannot have a short last group raises for one."""
    group = min(block, in_features)
    if in_features % group:
        raise InputError(f"group must divide in_features = {in_features}, got {group}")
    return in_features // group, group
