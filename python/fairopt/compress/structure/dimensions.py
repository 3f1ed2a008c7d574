"""A model read against its row of the table: what every axis of every parameter counts, and how many there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import nn

from fairopt.compress.blocks import decoder_blocks
from fairopt.compress.layers import linear_layers
from fairopt.compress.structure.families import Family, family_of
from fairopt.errors import InputError

DIMENSIONS = ("hidden", "heads", "ffn", "experts")  # those that are axes; layers are not
_PARTS = {"heads": "heads", "kv_heads": "heads", **{name: name for name in DIMENSIONS}}  # of an axis -> its dimension


class Axis(NamedTuple):
    """What lies along one axis of a parameter."""

    parts: tuple[str, ...]  # ("heads", "kv_heads", "kv_heads"): queries, then keys, then values
    is_read: bool  # by the module's inputs, not written by its outputs

    @property
    def dimension(self) -> str | None:
        """The dimension whose units lie along it; None for an axis that is never cut."""
        return _PARTS.get(self.parts[0])


class Dimensions:
    """The couplings of one model, as it is now.

    A unit of ``heads`` is what shares one key and value: with grouped queries several query heads.

    Raises:
        InputError: no transformers model, a decoder block without a row in the table, or a parameter that the row does
            not know: a quantised or adapted model, or a variant of the architecture.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.config: Any = _config(model)
        self.blocks = decoder_blocks(model)
        self.family: Family = family_of(next(iter(self.blocks.values())))
        self._parameters: dict[str, dict[str, tuple[Axis, ...]]] = {block: {} for block in ["", *self.blocks]}
        for module_name, module in model.named_modules():
            for tensor, parameter in module.named_parameters(recurse=False):
                block = next((block for block in self.blocks if module_name.startswith(f"{block}.")), "")
                axes = self._axes_of(block, module_name, module, tensor, parameter)
                self._parameters[block][f"{module_name}.{tensor}"] = axes
        self._counts: dict[tuple[str, str], int] = {}

    @property
    def head_dim(self) -> int:
        """Width of one head."""
        return int(getattr(self.config, "head_dim", None) or self.config.hidden_size // self.config.num_attention_heads)

    @property
    def group(self) -> int:
        """Query heads of one unit of ``heads``."""
        if not any("kv_heads" in axes for axes in self.family.block.values()):
            return 1
        return int(self.config.num_attention_heads) // int(self.config.num_key_value_heads)

    def places(self, dimension: str) -> list[str]:
        """Where units of a dimension are chosen: the blocks that have some; ``""`` is the whole model."""
        if dimension in ("hidden", "layers"):
            return [""]
        return [block for block in self.blocks if self.count(block, dimension)]

    def parameters(self, place: str, dimension: str) -> Iterator[tuple[str, tuple[Axis, ...]]]:
        """Name and axes of the parameters that have units of ``dimension``, in one block or, for ``""``, anywhere."""
        for block in [place] if place else self._parameters:
            for name, axes in self._parameters[block].items():
                if any(axis.dimension == dimension for axis in axes):
                    yield name, axes

    def count(self, place: str, dimension: str) -> int:
        """How many units of ``dimension`` are in a place; 0 where there are none."""
        if (place, dimension) not in self._counts:
            self._counts[place, dimension] = (
                len(self.blocks) if dimension == "layers" else self._count(place, dimension)
            )
        return self._counts[place, dimension]

    def units_along(self, place: str, axis: Axis, length: int) -> torch.Tensor:
        """The unit that each position of an axis belongs to, int64 [length]."""
        assert axis.dimension is not None
        count = self.count(place, axis.dimension)
        shares = [self.group if part == "heads" else 1 for part in axis.parts]
        width, rest = divmod(length, count * sum(shares))
        if rest:
            raise InputError(
                f"structure: the table must fit the tensors, got {length} positions for {count} {axis.dimension} along"
                f" {'+'.join(axis.parts)}"
            )
        units = torch.arange(count, device="cpu")  # whatever device is the default: a model may be made on none
        return torch.cat([units.repeat_interleave(share * width) for share in shares])

    def readers(self, block: str, dimension: str) -> Iterator[tuple[str, torch.Tensor]]:
        """Linear layers of a block whose inputs are units of ``dimension``, with the unit of each input."""
        for name, axes in self.parameters(block, dimension):
            for i, axis in enumerate(axes):
                if axis.is_read and axis.dimension == dimension and len(axes) == 2:
                    length = self.model.get_parameter(name).shape[i]
                    yield name.removesuffix(".weight"), self.units_along(block, axis, length)

    def _count(self, place: str, dimension: str) -> int:
        width = self.head_dim * self.group if dimension == "heads" else 1
        for name, axes in self.parameters(place, dimension):
            for length, axis in zip(self.model.get_parameter(name).shape, axes, strict=True):
                # What is written may be fused or gated, and wider; the heads' readers are one head_dim each.
                if axis.parts == (dimension,) and (axis.is_read or dimension != "heads"):
                    return length // width
        return 0

    def _axes_of(
        self, block: str, module_name: str, module: nn.Module, tensor: str, parameter: nn.Parameter
    ) -> tuple[Axis, ...]:
        own = module_name.removeprefix(f"{block}.") if block else module_name
        whole_name = own if tensor in ("weight", "bias") else f"{own}.{tensor}"
        row = self.family.block if block else self.family.model
        text = row.get(whole_name if block else _longest_end(whole_name, row), "")
        words = [tuple(part.split("+")) for part in text.split()]
        axes = tuple(Axis(parts, is_read=i == len(words) - 1 and i > 0) for i, parts in enumerate(words))
        if tensor == "bias":
            axes = axes[:1]
        if len(axes) != parameter.dim():
            kind = type(next(iter(self.blocks.values()))).__name__
            raise InputError(
                f"structure: parameters must be those that the table knows of a {kind}, got '{module_name}.{tensor}'"
                f" {list(parameter.shape)} (docs/architectures.md says how to add it; a model that is quantised or has"
                " adapters cannot be cut)"
            )
        transposed = tensor == "weight" and bool(linear_layers(module)) and not isinstance(module, nn.Linear)
        return axes[::-1] if transposed else axes


def _longest_end(name: str, row: Mapping[str, str]) -> str:
    return max((key for key in row if f".{name}".endswith(f".{key}")), key=len, default="")


def _config(model: nn.Module) -> Any:
    config: Any = getattr(model, "config", None)
    if config is None:
        raise InputError(f"structure: model must be a transformers model, got {type(model).__name__}")
    return config.get_text_config(decoder=True)
