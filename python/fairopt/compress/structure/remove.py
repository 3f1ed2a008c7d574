"""Taking units out of a model: every tensor that the table couples to them becomes smaller, and the config says so."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import nn

from fairopt.compress.structure.dimensions import DIMENSIONS, Dimensions
from fairopt.compress.structure.families import CONFIG, Family
from fairopt.compress.structure.plain_config import has_plain_config
from fairopt.errors import InputError

Model = TypeVar("Model", bound=nn.Module)


@dataclass(frozen=True)
class Kept:
    """What stays of one dimension."""

    dimension: str  # hidden, heads, ffn, experts or layers
    units: Mapping[str, Sequence[int]]  # place (see Dimensions) -> indices that stay, ascending


def remove(model: Model, kept: Kept) -> Model:
    """A copy of ``model`` without the units that ``kept`` leaves out; it shares no tensor with ``model``.

    Places that ``kept`` does not name stay whole. The config of the copy says the new sizes as far as it can;
    :func:`unsaid_sizes` are the others.

    Raises:
        InputError: experts of one block that would keep different numbers of neurons: their tensors are one.
    """
    dimensions = Dimensions(model)
    if kept.dimension == "layers":
        result = _without_blocks(model, dimensions, kept.units[""])
    else:
        result = _narrowed(model, dimensions, kept)
    _say_sizes(Dimensions(result))
    return result


def unsaid_sizes(dimensions: Dimensions) -> dict[str, dict[str, int]]:
    """What the config does not say: place, "" for the whole model -> dimension -> units."""
    unsaid: dict[str, dict[str, int]] = {}
    for dimension in DIMENSIONS:
        for place in dimensions.places(dimension):
            count = dimensions.count(place, dimension)
            if count and count != _said_count(dimensions, place, dimension):
                unsaid.setdefault(place, {})[dimension] = count
    return unsaid


def checked_sizes(model: nn.Module, sizes: Any, where: str) -> Mapping[str, Mapping[str, int]]:
    """``sizes`` as :func:`unsaid_sizes` makes them; :class:`~fairopt.errors.InputError` for others, of ``where``."""
    dimensions = Dimensions(model)
    wanted = f"load: structure in '{where}' must map blocks to dimensions and sizes"
    if not isinstance(sizes, Mapping):
        raise InputError(f"{wanted}, got {sizes!r}")
    for place, said in sizes.items():
        if not isinstance(said, Mapping) or not said.keys() <= set(DIMENSIONS):
            raise InputError(f"{wanted}, got {said!r} of {place!r}")
        for dimension, size in said.items():
            most = dimensions.count(place, dimension) if place in dimensions.places(dimension) else 0
            if type(size) is not int or not 0 < size <= most:
                raise InputError(f"{wanted} from 1 to {most}, got {size!r} {dimension} of {place!r}")
    return sizes


def resize(model: nn.Module, sizes: Mapping[str, Mapping[str, int]]) -> None:
    """Give a model as its config says it the sizes that :func:`unsaid_sizes` said of another, in place.

    Only shapes are meant: which units stay does not matter. The config stays as it is.
    """
    for dimension in DIMENSIONS:
        units = {place: range(said[dimension]) for place, said in sizes.items() if dimension in said}
        if not units:
            continue
        dimensions, kept = Dimensions(model), Kept(dimension, units)
        cut = _cut_parameters(dimensions, kept)
        for module in model.modules():
            for name, parameter in module._parameters.items():
                if parameter is not None and id(parameter) in cut:
                    module._parameters[name] = cut[id(parameter)]
        _follow_parameters(model, dimensions, kept)


def _narrowed(model: Model, dimensions: Dimensions, kept: Kept) -> Model:
    result = copy.deepcopy(model, dict[int, Any](_cut_parameters(dimensions, kept)))
    _follow_parameters(result, dimensions, kept)
    return result


def _cut_parameters(dimensions: Dimensions, kept: Kept) -> dict[int, nn.Parameter]:
    """The id of each parameter that has units of the dimension -> what stays of it: tied ones stay tied."""
    cuts: dict[int, nn.Parameter] = {}
    of_experts: dict[str, list[torch.Tensor]] = {}
    for place, units in kept.units.items():
        stays = torch.zeros(dimensions.count(place, kept.dimension), dtype=torch.bool, device="cpu")
        stays[list(units)] = True
        for name, axes in dimensions.parameters(place, kept.dimension):
            parameter = dimensions.model.get_parameter(name)
            if id(parameter) in cuts:
                continue
            cut = dimensions.tensor(place, name)
            for i, axis in enumerate(axes):
                if axis.dimension == kept.dimension:
                    positions = stays[dimensions.units_along(place, axis, cut.shape[i])].nonzero().flatten()
                    cut = cut.index_select(i, positions.to(cut.device))
            if dimensions.is_expert(place):
                of_experts.setdefault(name, []).append(cut)
            else:
                cuts[id(parameter)] = nn.Parameter(cut, requires_grad=parameter.requires_grad)
    for name, parts in of_experts.items():
        parameter = dimensions.model.get_parameter(name)
        if len({part.shape for part in parts}) > 1 or len(parts) < len(parameter):
            raise InputError(
                f"structure: experts must all keep the same number of {kept.dimension} in '{name}', got"
                f" {[list(part.shape) for part in parts]} for {len(parameter)} experts"
            )
        cuts[id(parameter)] = nn.Parameter(torch.stack(parts), requires_grad=parameter.requires_grad)
    return cuts


def _follow_parameters(model: nn.Module, dimensions: Dimensions, kept: Kept) -> None:
    """Let all that a model's modules say of their sizes agree with what was cut."""
    for module in model.modules():
        _follow_weight(module)
    modules = {dimensions.module_of(place): place for place in kept.units}  # that of all experts once
    for owner, place in modules.items():
        names = dimensions.family.numbers.get(dimensions.part(place, kept.dimension), ())
        for path in [owner] if owner else dimensions.blocks:
            counts = len(kept.units[place]), dimensions.count(place, kept.dimension)
            _scale_numbers(model.get_submodule(path), names, *counts)


def _follow_weight(module: nn.Module) -> None:
    """Let the sizes that a module says of itself be those of its weight."""
    weight: Any = getattr(module, "weight", None)
    told: Any = module
    if not isinstance(weight, nn.Parameter):
        return
    if isinstance(module, nn.Linear):
        told.out_features, told.in_features = weight.shape
    elif isinstance(module, nn.Embedding):
        told.embedding_dim = weight.shape[1]
    elif isinstance(module, nn.LayerNorm):
        told.normalized_shape = tuple(weight.shape)
    elif hasattr(module, "nf"):  # Conv1D
        told.nx, told.nf = weight.shape


def _scale_numbers(block: nn.Module, names: Sequence[str], count: int, before: int) -> None:
    modules = dict(block.named_modules())
    for path, _, attribute in (name.rpartition(".") for name in names):
        module: Any = modules.get(path)
        if module is not None and hasattr(module, attribute):
            setattr(module, attribute, getattr(module, attribute) * count // before)


def _without_blocks(model: Model, dimensions: Dimensions, units: Sequence[int]) -> Model:
    stack = model.get_submodule(next(iter(dimensions.blocks)).rpartition(".")[0])
    blocks = list(dimensions.blocks.values())
    memo: dict[int, Any] = {}
    memo[id(stack)] = nn.ModuleList(copy.deepcopy(blocks[unit], memo) for unit in units)
    result = copy.deepcopy(model, memo)
    kept: Any = memo[id(stack)]
    for position, block in enumerate(kept):
        for module in block.modules():
            if hasattr(module, "layer_idx"):  # where its keys and values lie in a cache
                module.layer_idx = position
    _say_layers(Dimensions(result).config, len(blocks), units)
    return result


def _say_layers(config: Any, before: int, units: Sequence[int]) -> None:
    config.num_hidden_layers = len(units)
    for name in ("layer_types", "mlp_layer_types"):
        types = getattr(config, name, None)
        if isinstance(types, list) and len(types) == before:
            setattr(config, name, [types[unit] for unit in units])
    step = getattr(config, "decoder_sparse_step", None)  # Qwen's rule for which layers have experts
    if step is not None:
        dense = [i for i, unit in enumerate(units) if unit in config.mlp_only_layers or (unit + 1) % step]
        config.decoder_sparse_step, config.mlp_only_layers = 1, dense


def _said_count(dimensions: Dimensions, place: str, dimension: str) -> int:
    config, part = dimensions.config, dimensions.part(place, dimension)
    if dimension == "heads":
        return int(config.num_attention_heads) // dimensions.group
    said = getattr(config, (dimensions.family.config.get(part) or CONFIG[part])[0])
    return int(said if said is not None else 4 * config.hidden_size)  # GPT-2's n_inner


def _say_sizes(dimensions: Dimensions) -> None:
    """Write into the config what it can say: sizes that all blocks share and that leave the width of a head alone."""
    config, head_dim, group = dimensions.config, dimensions.head_dim, dimensions.group
    sizes: dict[str, int] = {}
    for dimension in DIMENSIONS:
        counts: dict[str, set[int]] = {}
        for place in dimensions.places(dimension):
            counts.setdefault(dimensions.part(place, dimension), set()).add(dimensions.count(place, dimension))
        for part, found in counts.items():
            if len(found) == 1 and part in dimensions.family.config:
                sizes[part] = found.pop()
    if "heads" in sizes:
        sizes |= {"heads": sizes["heads"] * group, "kv_heads": sizes["heads"]}
    if dimensions.family.head_dim_in_config:
        config.head_dim = head_dim
    elif sizes.get("hidden") != sizes.get("heads", 0) * head_dim:
        sizes = _without(sizes, ("heads", "hidden"))
    for left_out in ((), ("heads",), ("hidden",), ("heads", "hidden")):
        trial, said = copy.deepcopy(config), _without(sizes, left_out)
        _write_sizes(trial, said, dimensions.family)
        if has_plain_config(dimensions.model, trial):
            _write_sizes(config, said, dimensions.family)
            return


def _without(sizes: Mapping[str, int], left_out: Sequence[str]) -> dict[str, int]:
    gone = {*left_out, *(["kv_heads"] if "heads" in left_out else [])}
    return {dimension: size for dimension, size in sizes.items() if dimension not in gone}


def _write_sizes(config: Any, sizes: Mapping[str, int], family: Family) -> None:
    for dimension, size in sizes.items():
        for name in family.config[dimension]:
            if hasattr(config, name):
                setattr(config, name, size)
