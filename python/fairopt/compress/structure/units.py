"""Looking at units while the model runs: gates that switch them off, and eyes that see what they put out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, TypeAlias

import torch
from torch import nn

from fairopt.compress.structure.dimensions import Dimensions

Change: TypeAlias = Callable[[str, torch.Tensor, torch.Tensor], torch.Tensor]  # place, what units put out, which units


@contextmanager
def at_units(dimensions: Dimensions, dimension: str, change: Change) -> Iterator[None]:
    """While it lasts, ``change`` stands where units of ``dimension`` hand on what they compute.

    Heads and neurons: the inputs of the layers that read them. Channels: the outputs of the norms, which all that reads
    the residual stream reads. Experts: their weights in the mixture. Layers: what a block adds to its input.
    """
    with ExitStack() as stack:
        for block, module in dimensions.blocks.items():
            for handle in _hooks(dimensions, dimension, block, module, change):
                stack.callback(handle.remove)
        if dimension == "hidden":
            channels = torch.arange(dimensions.count("", "hidden"))
            for norm in norms(dimensions):
                stack.callback(norm.register_forward_hook(lambda _, given, out: change("", out, channels)).remove)
        yield


def gates(dimensions: Dimensions, dimension: str) -> dict[str, torch.Tensor]:
    """An open gate for every unit: place -> ones, float32."""
    if dimension == "layers":
        return {block: torch.ones(1) for block in dimensions.blocks}
    return {place: torch.ones(dimensions.count(place, dimension)) for place in dimensions.places(dimension)}


@contextmanager
def gated(dimensions: Dimensions, dimension: str, values: Mapping[str, torch.Tensor]) -> Iterator[None]:
    """While it lasts, what a unit puts out is multiplied by its gate; 0 is as if it were not there."""

    def multiply(place: str, output: torch.Tensor, unit: torch.Tensor) -> torch.Tensor:
        return output * values[place].to(output)[unit.to(output.device)]

    with at_units(dimensions, dimension, multiply):
        yield


def expert_modules(dimensions: Dimensions) -> dict[str, nn.Module]:
    """Block -> the module that holds its experts, called with (tokens, chosen experts, their weights)."""
    found = {}
    for block in dimensions.places("experts"):
        for name, axes in dimensions.parameters(block, "experts"):
            if len(axes) == 3:
                found[block] = dimensions.model.get_submodule(name.rpartition(".")[0])
    return found


def norms(dimensions: Dimensions) -> list[nn.Module]:
    """The norms of the residual stream."""
    names = [name for name, axes in dimensions.parameters("", "hidden") if name.endswith(".weight") and len(axes) == 1]
    return [dimensions.model.get_submodule(name.removesuffix(".weight")) for name in names]


def _hooks(dimensions: Dimensions, dimension: str, block: str, module: nn.Module, change: Change) -> Iterator[Any]:
    if dimension in ("heads", "ffn"):
        for name, units in dimensions.readers(block, dimension):
            reader = dimensions.model.get_submodule(name)
            yield reader.register_forward_pre_hook(
                lambda _, given, units=units: (change(block, given[0], units), *given[1:])
            )
    elif dimension == "experts" and block in (experts := expert_modules(dimensions)):
        yield experts[block].register_forward_pre_hook(
            lambda _, given: (given[0], given[1], change(block, given[2], given[1]))
        )
    elif dimension == "layers":

        def mix(_: nn.Module, given: tuple[Any, ...], passed: dict[str, Any], output: Any) -> Any:
            before = given[0] if given else passed["hidden_states"]
            after = output[0] if isinstance(output, tuple) else output
            mixed = before + change(block, after - before, torch.tensor(0))
            return (mixed, *output[1:]) if isinstance(output, tuple) else mixed

        yield module.register_forward_hook(mix, with_kwargs=True)
