"""Gradients of a language model's loss, one backward pass for each calibration sequence."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn

from fairopt.compress.blocks import evaluating, run_on_tokens
from fairopt.compress.calibration import Calibration
from fairopt.compress.layers import as_rows
from fairopt.errors import InputError
from fairopt.progress import progress

_REPLACED = 0.15  # of the tokens that a masked model is asked for, as in its training


@dataclass(frozen=True)
class Gradients:
    """Moments over the calibration sequences of ``g``, the gradient of a sequence's mean loss per predicted token."""

    mean: torch.Tensor  # [N, K] fp32
    mean_square: torch.Tensor  # [N, K] fp32
    sequences: int


def check_has_loss(model: nn.Module) -> None:
    """Refuse a model whose outputs are not scores of tokens."""
    config: Any = getattr(model, "config", None)
    if getattr(model, "get_output_embeddings", lambda: None)() is None or getattr(config, "is_encoder_decoder", False):
        raise InputError(
            "compress: model must be a causal or masked language model for a recipe that needs gradients of its loss, "
            f"got {type(model).__name__}"
        )


def layer_gradients(model: nn.Module, names: Iterable[str], calibration: Calibration) -> dict[str, Gradients]:
    """Layer name -> moments of the gradients of its weight, for layers of ``model``, which is not changed.

    A causal model is asked for each next token. A masked one is asked for a share of the tokens of each sequence, which
    others drawn from the same sequence stand for: what a sequence gives depends on nothing but itself. Computed in fp32
    (on a copy where the model is not), summed sequence after sequence; memory holds two moments and one gradient of
    every layer named.

    Raises:
        InputError: as :func:`check_has_loss`.
    """
    check_has_loss(model)
    if any(parameter.dtype != torch.float32 for parameter in model.parameters()):
        model = copy.deepcopy(model).float()
    layers = {name: model.get_submodule(name) for name in names}
    weights = [cast(nn.Parameter, layer.weight) for layer in layers.values()]
    sums = [torch.zeros_like(weight) for weight in weights]
    squares = [torch.zeros_like(weight) for weight in weights]
    count = len(calibration.sequences)
    with _differentiable(model, weights), progress("gradients", count, "sequences") as advance:
        for ids in calibration.sequences:
            if len(ids) > 1:  # one token alone predicts nothing
                found = torch.autograd.grad(sequence_loss(model, ids.to(weights[0].device)), weights, allow_unused=True)
                for total, square, g in zip(sums, squares, found, strict=True):
                    if g is not None:  # an expert that no token was routed to
                        total.add_(g)
                        square.addcmul_(g, g)
            advance(1)
    moments = zip(layers.items(), sums, squares, strict=True)
    return {
        name: Gradients(as_rows(layer, total / count), as_rows(layer, square / count), count)
        for (name, layer), total, square in moments
    }


def sequence_loss(model: nn.Module, ids: torch.Tensor) -> torch.Tensor:
    """The mean loss per predicted token of ids [length], at least two, as :func:`layer_gradients` takes it."""
    if type(model).__name__.endswith("ForMaskedLM"):
        given, asked = _with_replacements(ids)
        logits = run_on_tokens(model, given[None]).logits[0, asked].float()
        return nn.functional.cross_entropy(logits, ids[asked])
    logits = run_on_tokens(model, ids[None]).logits[0, :-1].float()
    return nn.functional.cross_entropy(logits, ids[1:])


def predicted_tokens(model: nn.Module, ids: torch.Tensor) -> int:
    """How many tokens :func:`sequence_loss` is the mean over."""
    return _replaced(ids) if type(model).__name__.endswith("ForMaskedLM") else len(ids) - 1


def _replaced(ids: torch.Tensor) -> int:
    return max(1, round(_REPLACED * len(ids)))


def _with_replacements(ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The sequence with a share of its tokens exchanged for others of it, and which."""
    seed = hashlib.sha256(ids.cpu().numpy().astype("<i8").tobytes()).digest()[:8]
    generator = torch.Generator().manual_seed(int.from_bytes(seed, "little"))
    asked = torch.randperm(len(ids), generator=generator)[: _replaced(ids)].sort().values
    given = ids.clone()
    given[asked] = ids[torch.randint(len(ids), (len(asked),), generator=generator)]
    return given, asked


@contextmanager
def _differentiable(model: nn.Module, weights: list[nn.Parameter]) -> Iterator[None]:
    """Gradients of ``weights`` and no other, in evaluation mode; afterwards the model is as it was."""
    wanted = {parameter: parameter.requires_grad for parameter in model.parameters()}
    model.requires_grad_(False)
    for weight in weights:
        weight.requires_grad_(True)
    try:
        with torch.enable_grad(), evaluating(model):
            yield
    finally:
        for parameter, required in wanted.items():
            parameter.requires_grad_(required)
