"""Least squares: the layer that reads the units that stay makes up for those that are gone.

Of a layer W whose inputs x lose all but the columns S, the ``W'`` that minimises ``E |W x - W' x_S|^2`` on calibration
tokens is ``W H_:S (H_SS)^-1`` with ``H = E x x^T``. A hundredth of the mean diagonal of H, times the squared distance
from ``W_S``, is added to that error: an input that was never active keeps its weight.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import nn

from fairopt.compress.blocks import Scaffold
from fairopt.compress.calibration import Calibration
from fairopt.compress.hessian import Hessian
from fairopt.compress.solvers.base import BlockCall
from fairopt.compress.structure.dimensions import Dimensions
from fairopt.compress.structure.remove import Kept
from fairopt.compress.structure.units import hooks

_DAMP = 0.01


@torch.no_grad()
def corrected_weights(dimensions: Dimensions, kept: Kept, calibration: Calibration) -> dict[str, torch.Tensor]:
    """Place -> the weight of the layer that reads those of its units that stay, float64 [out, inputs that stay].

    Block by block, on what the uncut model passes each: memory holds the second moments of one block.
    """
    scaffold = Scaffold(dimensions.model, calibration)
    weights: dict[str, torch.Tensor] = {}
    hidden, arguments = scaffold.calls()
    for (name, block), passed in zip(scaffold.blocks.items(), arguments, strict=True):
        calls = [BlockCall(h, *given) for h, given in zip(hidden, passed, strict=True)]
        own = copy.deepcopy(block).float().eval()
        places = [place for place in dimensions.places_in(name, kept.dimension) if place in kept.units]
        moments = {place: Hessian(torch.float64) for place in places}
        with _watching(dimensions, kept.dimension, name, own, moments):
            hidden = [call(own) for call in calls]
        for place, moment in moments.items():
            _, weight, units = dimensions.reader(place, kept.dimension)
            stays = torch.isin(units, torch.tensor(list(kept.units[place]))).nonzero().flatten()
            hessian = moment.statistics(weight.shape[1]).hessian
            assert hessian is not None
            weights[place] = _least_squares(weight.double().cpu(), hessian.double(), stays)
    return weights


def put_weights(model: nn.Module, dimension: str, weights: dict[str, torch.Tensor]) -> None:
    """Replace the values of the layers that read units of ``dimension`` by corrected ones of the same shape."""
    dimensions = Dimensions(model) if weights else None
    for place, weight in weights.items():
        assert dimensions is not None
        dimensions.reader(place, dimension)[1].copy_(weight)


@contextmanager
def _watching(
    dimensions: Dimensions, dimension: str, block: str, own: nn.Module, moments: dict[str, Hessian]
) -> Iterator[None]:
    """While it lasts, each moment sums what enters the reader of its place in ``own``, a copy of the block."""

    def watch(place: str, inputs: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        if place in moments:
            moments[place].add(inputs)
        return inputs

    with ExitStack() as stack:
        for handle in hooks(
            dimensions, dimension, block, watch, lambda path: own.get_submodule(path.removeprefix(f"{block}."))
        ):
            stack.callback(handle.remove)
        yield


def _least_squares(weight: torch.Tensor, moment: torch.Tensor, stays: torch.Tensor) -> torch.Tensor:
    moment = moment.cpu()
    damp = _DAMP * moment.diagonal().mean().clamp_min(torch.finfo(torch.float32).tiny)
    among = moment[stays][:, stays]
    among.diagonal().add_(damp)
    target = weight @ moment[:, stays] + damp * weight[:, stays]
    solution: torch.Tensor = torch.linalg.solve(among, target.t())
    return solution.t()
