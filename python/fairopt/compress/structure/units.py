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

    Heads and neurons: the inputs of the layers that read them, those of experts times the weight of the expert.
    Channels: the outputs of the norms, which all that reads the residual stream reads. Experts: their weights in the
    mixture. Layers: what a block adds to its input.
    """
    with ExitStack() as stack:
        for block in dimensions.blocks:
            for handle in hooks(dimensions, dimension, block, change, dimensions.model.get_submodule):
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


def hooks(
    dimensions: Dimensions, dimension: str, block: str, change: Change, find: Callable[[str], nn.Module]
) -> Iterator[torch.utils.hooks.RemovableHandle]:
    """Register ``change`` in one block, whose modules ``find`` gives by their names in the model: it may be a copy."""
    if dimension in ("heads", "ffn"):
        mixtures = set()
        for place in dimensions.places_in(block, dimension):
            if dimensions.is_expert(place):
                mixtures.add(dimensions.module_of(place))
                continue
            name, _, units = dimensions.reader(place, dimension)
            yield find(name.removesuffix(".weight")).register_forward_pre_hook(
                lambda _, given, place=place, units=units: (change(place, given[0], units), *given[1:])
            )
        for name in mixtures:
            yield find(name).register_forward_hook(
                lambda module, given, _, name=name: _mixture(module, name, given, change)
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

        yield find(block).register_forward_hook(mix, with_kwargs=True)


def _mixture(experts: Any, name: str, given: tuple[torch.Tensor, ...], change: Change) -> torch.Tensor:
    """What a module of experts puts out, with ``change`` between the neurons of each and the layer that reads them.

    It computes them all again: between its two products such a module has no place to look at.
    """
    hidden, chosen, weights = given
    output = torch.zeros_like(hidden)
    for expert in range(len(experts.down_proj)):
        tokens, ranks = (chosen == expert).nonzero(as_tuple=True)
        if len(tokens):
            neurons = experts._apply_gate(nn.functional.linear(hidden[tokens], experts.gate_up_proj[expert]))
            weighted = (neurons * weights[tokens, ranks, None]).to(neurons.dtype)
            changed = change(f"{name}.{expert}", weighted, torch.arange(neurons.shape[-1]))
            output = output.index_add(0, tokens, nn.functional.linear(changed, experts.down_proj[expert]))
    return output
