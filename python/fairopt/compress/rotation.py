"""A rotation of the residual stream, folded into the weights: no input of a layer stays much larger than the others.

QuaRot (Ashkboos et al. 2024, arXiv:2404.00456), the part that costs nothing when the model runs. The embedding writes
rotated states, the layers behind the norms read them, the output and down projections write them, the head reads them.
RMSNorm without its gain commutes with an orthonormal rotation, so gains move into the layers behind them first.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from torch import nn

from fairopt import ops
from fairopt.compress.architectures import BlockLayout, block_layout
from fairopt.compress.blocks import decoder_blocks
from fairopt.compress.layers import dense_weight, untie
from fairopt.compress.recipe import Chain, Hadamard
from fairopt.compress.structure.families import residual_writers
from fairopt.errors import InputError

Model = TypeVar("Model", bound=nn.Module)


@torch.no_grad()
def rotated(model: Model, chains: Mapping[str, Chain], seed: int) -> Model:
    """A copy of ``model`` that computes the same on a residual stream rotated by a Hadamard matrix with random signs.

    The model itself where no chain asks for it; else it is of the whole model, whichever layers ask. The copy's head is
    no longer tied to its embedding: the gain of the last norm is in one of them only.

    Raises:
        InputError: an architecture that ``architectures`` does not know, or whose norms subtract a mean; no embedding
            or no head.
    """
    if not any(isinstance(step, Hadamard) and not step.online for chain in chains.values() for step in chain.steps):
        return model
    names = decoder_blocks(model)
    layouts = [block_layout(block, "hadamard") for block in names.values()]
    if not all(layout.rms_norm for layout in layouts):
        kind = type(next(iter(names.values()))).__name__
        raise InputError(f"hadamard: norms must be RMSNorm, which a rotation leaves unchanged, got those of {kind}")
    result = copy.deepcopy(model)
    embedding, head = _ends(result)
    rotation = _Rotation(embedding.shape[1], seed)
    for name, layout in zip(names, layouts, strict=True):
        _rotate_block(result.get_submodule(name), layout, rotation)
    stack = next(iter(names)).rpartition(".")[0].rpartition(".")[0]
    _fold_gain(result.get_submodule(f"{stack}.norm".lstrip(".")), [head])
    rotation.rotate(embedding)
    rotation.rotate(head)
    return result


class _Rotation:
    """``H diag(signs)`` of one width."""

    def __init__(self, width: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self._signs = torch.randint(0, 2, (width,), generator=generator).mul_(2).sub_(1).float()

    def rotate(self, rows: torch.Tensor) -> None:
        """Rotate the rows of [..., width], in place."""
        rows.copy_(ops.hadamard_transform(rows.float() * self._signs))


def _ends(model: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    """The weights of embedding and head, each its own."""
    ends: Any = model
    embedding, head = ends.get_input_embeddings(), ends.get_output_embeddings()
    if embedding is None or head is None:
        raise InputError(f"hadamard: model must have an embedding and an output head, got {type(model).__name__}")
    if head.weight is embedding.weight:
        head.weight = nn.Parameter(head.weight.detach().clone(), requires_grad=head.weight.requires_grad)
        untie(model)
    return embedding.weight.detach(), head.weight.detach()


def _rotate_block(block: nn.Module, layout: BlockLayout, rotation: _Rotation) -> None:
    for fold in layout.norms:
        weights = [dense_weight(block.get_submodule(name)) for name in fold.layers]
        _fold_gain(block.get_submodule(fold.source), weights)
        for weight in weights:
            rotation.rotate(weight)
    for name in residual_writers(block):
        layer = block.get_submodule(name)
        rotation.rotate(dense_weight(layer).t())
        if isinstance(layer.bias, torch.Tensor):
            rotation.rotate(layer.bias.detach())


def _fold_gain(norm: nn.Module, weights: list[torch.Tensor]) -> None:
    gain = norm.weight
    assert isinstance(gain, torch.Tensor)
    for weight in weights:
        weight.mul_(gain.detach())
    gain.detach().fill_(1)
