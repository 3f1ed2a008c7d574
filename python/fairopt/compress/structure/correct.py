"""Least squares: the layer that reads the units that stay makes up for those that are gone.

Of a layer W whose inputs x lose all but the columns S, the ``W'`` that minimises ``E |W x - W' x_S|^2`` on calibration
tokens is ``W H_:S (H_SS)^-1`` with ``H = E x x^T``. A hundredth of the mean diagonal of H, times the squared distance
from ``W_S``, is added to that error: an input that was never active keeps its weight.
"""

from __future__ import annotations

import copy

import torch
from torch import nn

from fairopt.compress.blocks import Scaffold
from fairopt.compress.calibration import Calibration
from fairopt.compress.hessian import Hessian
from fairopt.compress.layers import dense_weight
from fairopt.compress.solvers.base import BlockCall
from fairopt.compress.structure.dimensions import Dimensions
from fairopt.compress.structure.remove import Kept

_DAMP = 0.01


@torch.no_grad()
def corrected_weights(dimensions: Dimensions, kept: Kept, calibration: Calibration) -> dict[str, torch.Tensor]:
    """Name of a layer that reads units of which some go -> its weight [out, inputs that stay], float64.

    Block by block, on what the uncut model passes each: memory holds the second moments of one block.
    """
    scaffold = Scaffold(dimensions.model, calibration)
    weights: dict[str, torch.Tensor] = {}
    hidden, arguments = scaffold.calls()
    for (name, block), passed in zip(scaffold.blocks.items(), arguments, strict=True):
        calls = [BlockCall(h, *given) for h, given in zip(hidden, passed, strict=True)]
        own = copy.deepcopy(block).float().eval()
        readers = dict(dimensions.readers(name, kept.dimension)) if name in kept.units else {}
        moments = {reader: Hessian(torch.float64) for reader in readers}
        handles = [_watch(own, reader.removeprefix(f"{name}."), moment) for reader, moment in moments.items()]
        hidden = [call(own) for call in calls]
        for handle in handles:
            handle.remove()
        for reader, units in readers.items():
            stays = torch.isin(units, torch.tensor(list(kept.units[name]))).nonzero().flatten()
            weight = dense_weight(dimensions.model.get_submodule(reader)).double().cpu()
            moment = moments[reader].statistics(weight.shape[1]).hessian
            assert moment is not None
            weights[reader] = _least_squares(weight, moment.double(), stays)
    return weights


def put_weights(model: nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """Replace the values of layers by corrected ones of the same shape, in place."""
    for name, weight in weights.items():
        dense_weight(model.get_submodule(name)).copy_(weight)


def _watch(block: nn.Module, layer: str, moment: Hessian) -> torch.utils.hooks.RemovableHandle:
    return block.get_submodule(layer).register_forward_pre_hook(lambda _, given: moment.add(given[0]))


def _least_squares(weight: torch.Tensor, moment: torch.Tensor, stays: torch.Tensor) -> torch.Tensor:
    moment = moment.cpu()
    damp = _DAMP * moment.diagonal().mean().clamp_min(torch.finfo(torch.float32).tiny)
    among = moment[stays][:, stays]
    among.diagonal().add_(damp)
    target = weight @ moment[:, stays] + damp * weight[:, stays]
    solution: torch.Tensor = torch.linalg.solve(among, target.t())
    return solution.t()
