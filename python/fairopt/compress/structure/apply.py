"""The structure steps of a recipe, one after the other, each judged on what the one before it has left."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Generic, TypeVar

import torch
from torch import nn

from fairopt.compress.calibration import Calibration
from fairopt.compress.gradients import check_has_loss
from fairopt.compress.plan import plan
from fairopt.compress.recipe import Chain, Recipe
from fairopt.compress.record import StructureRecord
from fairopt.compress.structure.correct import corrected_weights, put_weights
from fairopt.compress.structure.dimensions import Dimensions
from fairopt.compress.structure.remove import Kept, remove, unsaid_sizes
from fairopt.compress.structure.scores import scores_of
from fairopt.compress.structure.scores_knockout import Measure
from fairopt.compress.structure.select import Scores, places_to_cut, select
from fairopt.compress.structure_options import Layers, Remove
from fairopt.errors import InputError

Model = TypeVar("Model", bound=nn.Module)
_OF_LOSS = ("taylor", "taylor2", "knockout", "fasp")  # scores that ask what the loss on the tokens is


def planned(model: nn.Module, recipe: Recipe) -> dict[str, Chain]:
    """:func:`fairopt.compress.plan.plan` on the model as the recipe's structure steps will leave it.

    The shapes are those of steps that cut all blocks alike; scores are not taken yet. Raises
    :class:`~fairopt.errors.InputError` for steps that do not fit the model as well.
    """
    if recipe.structure:
        model = _without_values(model)
        for step in recipe.structure:
            dimensions = Dimensions(model)
            _check_step(dimensions, step)
            scores = {p: torch.zeros(dimensions.count(p, step.word)) for p in dimensions.places(step.word)}
            model = remove(model, select(dimensions, step, scores))
    return plan(model, recipe)


@dataclass(frozen=True)
class Restructured(Generic[Model]):
    """A model without some of its structures."""

    model: Model
    steps: tuple[StructureRecord, ...]  # what each kept
    unsaid_sizes: Mapping[str, Mapping[str, int]]  # by block and dimension, where the config cannot say them


def restructured(
    model: Model, steps: Sequence[Remove], calibration: Calibration | None, *, seed: int, bias: Measure | None
) -> Restructured[Model]:
    """A smaller copy of ``model``; the model itself where there is no step.

    Args:
        model: one that :func:`planned` has found to fit.
        steps: what to remove.
        calibration: tokens, where a step looks at activations.
        seed: of the score ``random``.
        bias: what the score ``fasp`` measures.

    Raises:
        InputError: weights or scores that are not finite, and what :func:`~.select.select` refuses.
    """
    records = []
    _check_finite(model, steps)
    for step in steps:
        dimensions = Dimensions(model)
        scores = scores_of(dimensions, step, calibration, seed, bias)
        _check_scores(step, scores)
        kept = select(dimensions, step, scores)
        correct = calibration is not None and getattr(step, "correct", False)
        weights = corrected_weights(dimensions, kept, calibration) if correct and calibration is not None else {}
        records.append(_describe(dimensions, step, kept))
        model = remove(model, kept)
        put_weights(model, step.word, weights)
    return Restructured(model, tuple(records), unsaid_sizes(Dimensions(model)) if steps else {})


def needs_calibration(steps: Iterable[Remove]) -> bool:
    """Whether one of the steps looks at activations."""
    return any(step.looks_at_activations for step in steps)


def check_bias(steps: Iterable[Remove], bias: Measure | None) -> None:
    """Refuse the score ``fasp`` without a measure of bias, and a measure that nothing asks for."""
    asks = [str(step) for step in steps if step.score == "fasp"]
    if asks and bias is None:
        raise InputError(f"compress: bias must be a function of a model for '{asks[0]}', got None (or --pairs FILE)")
    if bias is not None and not asks:
        raise InputError("compress: bias must go with a step that has the score fasp, got none")


def ranges(units: Sequence[int]) -> str:
    """Ascending indices as text: ``0-3,5``."""
    runs = [[unit for _, unit in run] for _, run in groupby(enumerate(units), lambda pair: pair[1] - pair[0])]
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def _describe(dimensions: Dimensions, step: Remove, kept: Kept) -> StructureRecord:
    before = {place: dimensions.count(place, step.word) for place in kept.units}
    return StructureRecord(str(step), before, {place: ranges(units) for place, units in kept.units.items()})


def _without_values(model: Model) -> Model:
    memo: dict[int, Any] = {
        id(parameter): nn.Parameter(parameter.detach().to("meta"), requires_grad=parameter.requires_grad)
        for parameter in model.parameters()
    }
    return copy.deepcopy(model, memo)


def _check_step(dimensions: Dimensions, step: Remove) -> None:
    if step.score in _OF_LOSS:
        check_has_loss(dimensions.model)
    if isinstance(step, Layers):
        if getattr(dimensions.config, "scale_attn_by_inverse_layer_idx", False):
            raise InputError("structure: attention must not be scaled by the number of its layer for 'layers', got one")
    else:
        places_to_cut(dimensions, step)


def needs_loss(steps: Iterable[Remove]) -> bool:
    """Whether a score asks for the model's loss on the tokens."""
    return any(step.score in _OF_LOSS for step in steps)


def _check_finite(model: nn.Module, steps: Sequence[Remove]) -> None:
    for name, parameter in model.named_parameters() if steps else ():
        bad = parameter.numel() - int(torch.isfinite(parameter).sum())
        if bad:
            raise InputError(f"structure: weights must be finite, got {bad} NaN or infinite values in '{name}'")


def _check_scores(step: Remove, scores: Scores) -> None:
    for place, values in scores.items():
        if values.isnan().any():
            raise InputError(f"structure: scores of '{step}' must be numbers, got NaN in '{place or 'the model'}'")
