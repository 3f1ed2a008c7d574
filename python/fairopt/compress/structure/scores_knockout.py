"""Each unit switched off by itself: what that does to the loss, and to a bias that the caller measures.

FASP (Zayed et al. 2024, arXiv:2312.15398): heads that matter to the loss are kept whatever their bias; of the others
those go first without which the bias is least.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TypeAlias

import torch
from torch import nn

from fairopt.compress.blocks import evaluating
from fairopt.compress.calibration import Calibration
from fairopt.compress.gradients import sequence_loss
from fairopt.compress.structure.dimensions import Dimensions
from fairopt.compress.structure.units import gated, gates
from fairopt.errors import InputError
from fairopt.progress import progress

Measure: TypeAlias = Callable[[nn.Module], float]  # of a model as it is now: a loss, a bias


def loss_on(calibration: Calibration) -> Measure:
    """The mean loss over the calibration tokens."""

    sequences = [ids for ids in calibration.sequences if len(ids) > 1]  # one token alone predicts nothing

    def measure(model: nn.Module) -> float:
        device = next(model.parameters()).device
        with evaluating(model), torch.no_grad():
            total = sum(float(sequence_loss(model, ids.to(device))) * len(ids) for ids in sequences)
        return total / sum(map(len, sequences))

    return measure


def knockout_effects(
    dimensions: Dimensions, dimension: str, measures: Mapping[str, Measure]
) -> dict[str, dict[str, torch.Tensor]]:
    """Name of a measure -> place -> its value without each unit minus its value with all, float64 [units].

    One evaluation of every measure a unit. Raises :class:`~fairopt.errors.InputError` for a measure that is not finite.
    """
    values = gates(dimensions, dimension)
    effects = {name: {p: torch.zeros(len(gate)).double() for p, gate in values.items()} for name in measures}
    whole = {name: _measured(name, measure, dimensions.model) for name, measure in measures.items()}
    with progress("knock out", sum(map(len, values.values())), dimension) as advance:
        for place, gate in values.items():
            for unit in range(len(gate)):
                gate[unit] = 0
                with gated(dimensions, dimension, values):
                    for name, measure in measures.items():
                        effects[name][place][unit] = _measured(name, measure, dimensions.model) - whole[name]
                gate[unit] = 1
                advance(1)
    if dimension == "layers":
        return {name: {"": torch.cat(list(of.values()))} for name, of in effects.items()}
    return effects


def fasp_scores(
    loss: Mapping[str, torch.Tensor], bias: Mapping[str, torch.Tensor], gamma: float, over_model: bool
) -> dict[str, torch.Tensor]:
    """The effect on ``bias``, but infinity for the share ``gamma`` of units whose knock-out raises ``loss`` most.

    The share is of each place, or ``over_model`` of all units together.
    """
    groups = [list(loss)] if over_model else [[place] for place in loss]
    scores = {place: effect.clone() for place, effect in bias.items()}
    for places in groups:
        joined = torch.cat([loss[place] for place in places])
        kept = joined.argsort(descending=True, stable=True)[: int(gamma * len(joined) + 0.5)]
        frozen = torch.zeros(len(joined), dtype=torch.bool)
        frozen[kept] = True
        parts = torch.split(frozen, [len(loss[place]) for place in places])
        for place, part in zip(places, parts, strict=True):
            scores[place][part] = math.inf
    return scores


def _measured(name: str, measure: Measure, model: nn.Module) -> float:
    value = float(measure(model))
    if not math.isfinite(value):
        raise InputError(f"structure: {name} must be a finite number, got {value}")
    return value
