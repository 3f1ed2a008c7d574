"""Zeros that pruning made, kept while a model is trained."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.utils.hooks import RemovableHandle

from fairopt import ops
from fairopt.errors import InputError

Layer = TypeVar("Layer", bound=nn.Module)


class Mask(nn.Module):
    """A parametrisation of ``torch.nn.utils.parametrize``: the tensor times a constant bool ``keep`` of its shape."""

    keep: torch.Tensor

    def __init__(self, keep: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("keep", keep)

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """``weight`` with zeros where ``keep`` is False; no gradient passes there."""
        return ops.apply_mask(weight, self.keep)


def masked(layer: Layer, keep: torch.Tensor | None = None) -> Layer:
    """Let ``layer.weight`` be zero wherever ``keep`` is False, whatever an optimiser does; returns the layer.

    The mask is a parametrisation: the layer trains ``parametrizations.weight.original``, and its state dict holds that
    and the mask until :func:`unmasked` makes a plain layer of it again.

    Args:
        layer: a module with a parameter ``weight``.
        keep: bool of its shape; by default the weights that are not zero now.

    Raises:
        InputError: a mask of another shape or type, or no mask and no zeros.
    """
    weight = getattr(layer, "weight", None)
    if not isinstance(weight, nn.Parameter):
        raise InputError(f"masked: layer must have a parameter 'weight', got {type(layer).__name__}")
    if keep is None:
        keep = weight.detach() != 0
        if keep.all():
            raise InputError("masked: layer must have weights that are zero, got none")
    if keep.shape != weight.shape or keep.dtype != torch.bool:
        kind = f"{str(keep.dtype).removeprefix('torch.')} {list(keep.shape)}"
        raise InputError(f"masked: keep must be bool {list(weight.shape)}, got {kind}")
    parametrize.register_parametrization(layer, "weight", Mask(keep.to(weight.device)))
    return layer


def unmasked(layer: Layer) -> Layer:
    """The plain layer again, with the zeros in its weight; returns it."""
    parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
    return layer


def keep_zeros(optimizer: torch.optim.Optimizer, model: nn.Module) -> RemovableHandle:
    """After each step of ``optimizer`` set to zero what is zero now in the weights of ``model`` that it trains.

    For plain layers, and any optimiser: weight decay, momentum and second moments change nothing about it. Weights are
    parameters of two dimensions or more; biases and norms are left alone. Memory holds one bool for each weight of the
    layers that have zeros.

    Returns:
        A handle whose ``remove()`` ends it.

    Raises:
        InputError: no such weight has a zero.
    """
    trained = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    weights = [p for p in model.parameters() if id(p) in trained and p.dim() > 1 and not torch.all(p.detach())]
    if not weights:
        raise InputError("keep_zeros: model must have weights that are zero and that the optimizer trains, got none")
    gone = [parameter.detach() == 0 for parameter in weights]

    def restore(*_: Any) -> None:
        with torch.no_grad():
            for parameter, zeros in zip(weights, gone, strict=True):
                parameter.masked_fill_(zeros, 0)

    return optimizer.register_step_post_hook(restore)
