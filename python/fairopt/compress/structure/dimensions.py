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
INNER = ("expert_ffn", "shared_ffn")  # parts of a block that are places of their own
_PARTS = {  # of an axis -> its dimension
    **{name: name for name in DIMENSIONS},
    "kv_heads": "heads",
    **dict.fromkeys(INNER, "ffn"),
}


class Axis(NamedTuple):
    """What lies along one axis of a parameter."""

    parts: tuple[str, ...]  # ("heads", "kv_heads", "kv_heads"): queries, then keys, then values
    is_read: bool  # by the module's inputs, not written by its outputs

    @property
    def dimension(self) -> str | None:
        """The dimension whose units lie along it; None for an axis that is never cut."""
        return _PARTS.get(self.parts[0])


class _Site(NamedTuple):
    """Where the units of a place within a block lie."""

    module: str  # that holds the parameters
    part: str  # what the table calls them
    expert: int | None = None  # the row of parameters that hold all experts at once


class Dimensions:
    """The couplings of one model, as it is now.

    A unit of ``heads`` is what shares one key and value: with grouped queries several query heads. Units are chosen in
    places: the whole model ``""``, a block, or for ``ffn`` an expert of a block (``model.layers.0.mlp.experts.3``).

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
        self._sites: dict[str, dict[str, _Site]] = {block: {} for block in self.blocks}
        for module_name, module in model.named_modules():
            for tensor, parameter in module.named_parameters(recurse=False):
                block = next((block for block in self.blocks if module_name.startswith(f"{block}.")), "")
                axes = self._axes_of(block, module_name, module, tensor, parameter)
                self._parameters[block][f"{module_name}.{tensor}"] = axes
                if block:
                    self._sites[block] |= _sites_of(module_name, axes, len(parameter))
        self._site_of = {place: site for sites in self._sites.values() for place, site in sites.items()}
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
        """Where units of a dimension are chosen: what of the model has some; ``""`` is the whole of it."""
        if dimension in ("hidden", "layers"):
            return [""]
        return [place for block in self.blocks for place in self.places_in(block, dimension)]

    def places_in(self, block: str, dimension: str) -> list[str]:
        """The places of one block: itself, its experts."""
        inner = self._sites[block] if dimension == "ffn" else ()
        return [place for place in (block, *inner) if self.count(place, dimension)]

    def part(self, place: str, dimension: str) -> str:
        """What the table calls the units of a place: ``ffn``, or ``expert_ffn`` for those of an expert."""
        return self._site_of[place].part if place in self._site_of else dimension

    def module_of(self, place: str) -> str:
        """The module that says how many units a place has: that of all experts for an expert."""
        return self._site_of[place].module if place in self._site_of else place

    def is_expert(self, place: str) -> bool:
        """Whether a place is one of several whose parameters lie in one tensor, and so have one size."""
        return place in self._site_of and self._site_of[place].expert is not None

    def parameters(self, place: str, dimension: str) -> Iterator[tuple[str, tuple[Axis, ...]]]:
        """Name and axes of the parameters that have units of ``dimension``, in one place or, for ``""``, anywhere.

        Of a parameter that holds all experts the axes are those of one of them, as :meth:`tensor` gives it.
        """
        site = self._site_of.get(place)
        if site is not None:
            block = next(block for block, sites in self._sites.items() if place in sites)
            for name, axes in self._parameters[block].items():
                if name.startswith(f"{site.module}.") and any(axis.parts[0] == site.part for axis in axes):
                    yield name, axes if site.expert is None else axes[1:]
            return
        for block in [place] if place else self._parameters:
            for name, axes in self._parameters[block].items():
                if any(axis.dimension == dimension and axis.parts[0] not in INNER for axis in axes):
                    yield name, axes

    def tensor(self, place: str, name: str) -> torch.Tensor:
        """A parameter as a place sees it: an expert its own part of those that hold all experts; a view, detached."""
        parameter = self.model.get_parameter(name).detach()
        site = self._site_of.get(place)
        return parameter if site is None or site.expert is None else parameter[site.expert]

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

    def reader(self, place: str, dimension: str) -> tuple[str, torch.Tensor, torch.Tensor]:
        """The parameter of a place whose inputs are its heads or neurons: name, view [out, in], unit of each input."""
        for name, axes in self.parameters(place, dimension):
            for i, axis in enumerate(axes):
                if axis.is_read and axis.dimension == dimension and len(axes) == 2:
                    weight = self.tensor(place, name)
                    weight = weight if i == 1 else weight.t()
                    return name, weight, self.units_along(place, axis, weight.shape[1])
        raise InputError(f"structure: the table must name what reads {dimension} of '{place}', got nothing")

    def _count(self, place: str, dimension: str) -> int:
        width = self.head_dim * self.group if dimension == "heads" else 1
        for name, axes in self.parameters(place, dimension):
            for length, axis in zip(self.tensor(place, name).shape, axes, strict=True):
                # What is written may be fused or gated, and wider; the heads' readers are one head_dim each.
                one = axis.dimension == dimension and len(axis.parts) == 1
                if one and (axis.is_read or dimension != "heads"):
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


def _sites_of(module: str, axes: tuple[Axis, ...], length: int) -> dict[str, _Site]:
    """The places within a block that a parameter shows to be there."""
    part = next((axis.parts[0] for axis in axes if axis.parts[0] in INNER), None)
    if part is None:
        return {}
    if axes[0].parts == ("experts",):
        return {f"{module}.{expert}": _Site(module, part, expert) for expert in range(length)}
    owner = module.rpartition(".")[0]
    return {owner: _Site(owner, part)}


def _longest_end(name: str, row: Mapping[str, str]) -> str:
    return max((key for key in row if f".{name}".endswith(f".{key}")), key=len, default="")


def _config(model: nn.Module) -> Any:
    config: Any = getattr(model, "config", None)
    if config is None:
        raise InputError(f"structure: model must be a transformers model, got {type(model).__name__}")
    return config.get_text_config(decoder=True)
