"""A proof by numbers that a row of the table is right: units that are removed compute what units set to zero do."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from fairopt.compress.structure.dimensions import DIMENSIONS, Dimensions
from fairopt.compress.structure.remove import Kept, remove
from fairopt.compress.structure.units import at_units, expert_modules, norms
from fairopt.errors import InputError

TOLERANCE = 1e-5  # of logits, in float64: couplings are right to rounding or wrong by far more


def prove(model: nn.Module, ids: torch.Tensor, *, seed: int = 0) -> dict[str, float]:
    """Dimension -> largest difference of logits between a model with units removed and one with them set to zero.

    Run it on a small model with random weights, biases and gains of a family that is new to the table: every dimension
    that the row names is cut, in each block another random part. The model is not changed.

    Args:
        model: of at least two blocks, with at least two units of every dimension.
        ids: token ids [n, length] that the model can read.
        seed: of the choice of units.

    Raises:
        InputError: naming the dimension whose logits differ by more than 1e-5.
    """
    model = copy.deepcopy(model).double().eval()
    dimensions = Dimensions(model)
    dimensions.config._experts_implementation = "eager"  # the product of all experts at once knows no float64
    generator = torch.Generator().manual_seed(seed)
    found: dict[str, float] = {}
    for dimension in ("layers", *DIMENSIONS):
        if not any(dimensions.count(place, dimension) for place in dimensions.places(dimension)):
            continue
        kept = _half(dimensions, dimension, generator)
        found[dimension] = difference(model, kept, ids)
        if not found[dimension] <= TOLERANCE:
            raise InputError(
                f"prove: {dimension} of {type(model).__name__} must compute the same removed and set to zero, got"
                f" logits that differ by {found[dimension]:.3g}"
            )
    return found


@torch.no_grad()
def difference(model: nn.Module, kept: Kept, ids: torch.Tensor) -> float:
    """The largest difference of logits between ``model`` without all but ``kept`` and with the rest set to zero."""
    removed: Any = remove(model, kept)
    zeroed: Any = copy.deepcopy(model)
    with _switched_off(Dimensions(zeroed), kept):
        expected = zeroed(ids).logits
    return float((removed(ids).logits - expected).abs().max())


@contextmanager
def _switched_off(dimensions: Dimensions, kept: Kept) -> Iterator[None]:
    """The model as if units were not there, though every tensor has its full size."""
    stays = {}
    for place, units in kept.units.items():
        stays[place] = torch.zeros(dimensions.count(place, kept.dimension), dtype=torch.bool)
        stays[place][list(units)] = True
    if kept.dimension == "layers":
        open_blocks = dict(zip(dimensions.blocks, stays[""], strict=True))
        with at_units(dimensions, "layers", lambda block, out, _: out * open_blocks[block]):
            yield
        return
    if kept.dimension == "experts":
        _close_experts(dimensions, stays)
    else:
        _set_to_zero(dimensions, kept.dimension, stays)
    handles = [_over(norm, stays[""]) for norm in norms(dimensions)] if kept.dimension == "hidden" else []
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _set_to_zero(dimensions: Dimensions, dimension: str, stays: dict[str, torch.Tensor]) -> None:
    for place, of_place in stays.items():
        for name, axes in dimensions.parameters(place, dimension):
            tensor = dimensions.tensor(place, name)
            for i, axis in enumerate(axes):
                if axis.dimension == dimension:
                    gone = ~of_place[dimensions.units_along(place, axis, tensor.shape[i])]
                    tensor.index_fill_(i, gone.nonzero().flatten(), 0)


def _over(norm: nn.Module, stays: torch.Tensor) -> torch.utils.hooks.RemovableHandle:
    """Let a norm take its statistics of the channels that stay: zeros would count in its mean."""
    narrow: Any = copy.deepcopy(norm)
    for name, parameter in norm.named_parameters():
        setattr(narrow, name, nn.Parameter(parameter[stays]))
    if isinstance(narrow, nn.LayerNorm):
        narrow.normalized_shape = (int(stays.sum()),)

    def over(_: nn.Module, given: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
        output = torch.zeros_like(output)
        output[..., stays] = narrow(given[0][..., stays])
        return output

    return norm.register_forward_hook(over)


def _close_experts(dimensions: Dimensions, stays: dict[str, torch.Tensor]) -> None:
    """Let routers choose among the experts that stay; the experts themselves are all there, under their own numbers."""
    for block in expert_modules(dimensions):
        for name, axes in dimensions.parameters(block, "experts"):
            if len(axes) == 2:  # the router
                router: Any = dimensions.model.get_submodule(name.rpartition(".")[0])
                numbers = stays[block].nonzero().flatten()
                router.weight = nn.Parameter(router.weight[numbers])
                router.register_forward_hook(
                    lambda _, given, output, numbers=numbers: (*output[:2], numbers[output[2]])
                )


def _half(dimensions: Dimensions, dimension: str, generator: torch.Generator) -> Kept:
    """About half of the units, the same number in each block and others of each."""
    units = {}
    for place in dimensions.places(dimension):
        count = dimensions.count(place, dimension)
        keep = max(count // 2, int(dimensions.config.num_experts_per_tok) if dimension == "experts" else 1)
        units[place] = torch.randperm(count, generator=generator)[:keep].sort().values.tolist()
    return Kept(dimension, units)
