"""From scores to what stays: how many units of each place, and which."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from fairopt.compress.structure.dimensions import Dimensions
from fairopt.compress.structure.remove import Kept
from fairopt.compress.structure_options import Layers, Remove, RemoveOfBlocks
from fairopt.errors import InputError

Scores = Mapping[str, torch.Tensor]  # place -> score of each unit; the least go first, infinity never

_LOSSES = ("taylor", "taylor2", "knockout", "fasp")  # scores of different blocks are on one scale


def select(dimensions: Dimensions, step: Remove, scores: Scores) -> Kept:
    """The units that ``step`` keeps; of equal scores the one that comes first goes first.

    Raises:
        InputError: for what would remove everything, or nothing, and for too few units that FASP lets go.
    """
    if isinstance(step, Layers):
        return Kept("layers", {"": _layers_kept(step, scores[""])})
    gone = _counts_over_model(dimensions, step, scores) if _scope(step) == "model" else _counts(dimensions, step)
    return Kept(step.word, {place: _without_least(step, scores[place], count) for place, count in gone.items()})


def places_to_cut(dimensions: Dimensions, step: Remove) -> list[str]:
    """The places that the step removes units from: those that are not protected.

    Raises :class:`~fairopt.errors.InputError` for a step that the model has nothing for.
    """
    places = dimensions.places(step.word)
    if not places or not dimensions.count(places[0], step.word):
        kind = type(dimensions.model).__name__
        raise InputError(f"structure: model must have {step.word} that its table names for '{step}', got a {kind}")
    if _scope(step) == "model" and any(map(dimensions.is_expert, places)):
        raise InputError(
            f"structure: scope must be layer where a block has experts, whose widths are one, got '{step}'"
        )
    if isinstance(step, RemoveOfBlocks) and step.protect:
        blocks = [block for block in dimensions.blocks if dimensions.places_in(block, step.word)]
        unprotected = blocks[step.protect : len(blocks) - step.protect]
        if not unprotected:
            raise InputError(f"structure: protect must leave one of {len(blocks)} blocks, got '{step}'")
        places = [place for block in unprotected for place in dimensions.places_in(block, step.word)]
    alike = not isinstance(step, RemoveOfBlocks) or (step.protect == 0 and step.scope == "layer")
    if step.word == "heads" and not dimensions.family.heads_may_differ and not alike:
        kind = type(dimensions.model).__name__
        raise InputError(f"structure: blocks must keep the same number of heads in a {kind}, got '{step}'")
    return places


def _scope(step: Remove) -> str:
    return step.scope if isinstance(step, RemoveOfBlocks) else "layer"


def _counts(dimensions: Dimensions, step: Remove) -> dict[str, int]:
    return {
        place: _count_gone(dimensions, step, place, _share(step.amount, dimensions.count(place, step.word)))
        for place in places_to_cut(dimensions, step)
    }


def _counts_over_model(dimensions: Dimensions, step: Remove, scores: Scores) -> dict[str, int]:
    """Units of all blocks compete; scores that are on no common scale are divided by their mean in the block."""
    places = places_to_cut(dimensions, step)
    scaled = {}
    for place in places:
        finite = scores[place][scores[place].isfinite()]
        unit = finite.abs().mean() if step.score not in _LOSSES and len(finite) else torch.tensor(1.0)
        scaled[place] = scores[place].double() / unit.double().clamp_min(torch.finfo(torch.float64).tiny)
        scaled[place][scaled[place].argmax()] = torch.inf  # one stays
    joined = torch.cat([scaled[place] for place in places])
    wanted = _share(step.amount, len(joined))
    least = joined.argsort(stable=True)[:wanted]
    _check_finite(step, joined, wanted)
    owner = torch.cat([torch.full((len(scaled[place]),), i) for i, place in enumerate(places)])
    gone = torch.bincount(owner[least], minlength=len(places)).tolist()
    return {
        place: _count_gone(dimensions, step, place, count) if count else 0
        for place, count in zip(places, gone, strict=True)
    }


def _share(ratio: float, count: int) -> int:
    """The nearest count, halves up; at least one where a share is asked for."""
    return max(1, int(ratio * count + 0.5)) if ratio else 0


def _count_gone(dimensions: Dimensions, step: Remove, place: str, gone: int) -> int:
    """``gone`` corrected so that what stays is a multiple of the step's ``round``."""
    count = dimensions.count(place, step.word)
    where = f" of '{place}'" if place else ""
    multiple = getattr(step, "round", 1)
    kept = count - gone
    if multiple > 1 and gone:
        kept = max(multiple, int(kept / multiple + 0.5) * multiple)
        if kept >= count:
            raise InputError(
                f"structure: round must leave less than the {count} {step.word}{where}, got '{step}', which keeps"
                f" {kept}"
            )
    of_experts = dimensions.is_expert(place) or (step.word == "hidden" and any(dimensions.places("experts")))
    if of_experts and kept % 8:
        raise InputError(
            f"structure: {step.word}{where} must keep a multiple of 8 where a model has experts, got '{step}', which"
            f" keeps {kept} (round=8: the product of all experts at once reads rows by 16 bytes)"
        )
    least = int(dimensions.config.num_experts_per_tok) if step.word == "experts" else 1
    if kept < least:
        raise InputError(
            f"structure: {step.word}{where} must keep at least {least} of {count}, got '{step}', which keeps {kept}"
        )
    return count - kept


def _without_least(step: Remove, scores: torch.Tensor, gone: int) -> list[int]:
    _check_finite(step, scores, gone)
    kept: list[int] = scores.argsort(stable=True)[gone:].sort().values.tolist()
    return kept


def _check_finite(step: Remove, scores: torch.Tensor, gone: int) -> None:
    free = int(scores.isfinite().sum())
    if gone > free:
        raise InputError(
            f"structure: '{step}' must remove no more than the {free} {step.word} that may go, got {gone} of"
            f" {len(scores)}"
        )


def _layers_kept(step: Layers, scores: torch.Tensor) -> list[int]:
    count = len(scores)
    if step.amount >= count:
        raise InputError(f"structure: layers must be fewer than the {count} of the model, got '{step}'")
    protected = torch.zeros(count, dtype=torch.bool)
    protected[: step.protect] = True
    protected[count - min(step.protect, count) :] = True
    order = scores.argsort(stable=True)
    last_resort = torch.cat([order[~protected[order]], order[protected[order]]])
    _check_finite(step, scores, step.amount)
    kept: list[int] = last_resort[step.amount :].sort().values.tolist()
    return kept
