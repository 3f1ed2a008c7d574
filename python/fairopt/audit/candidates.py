"""The models of an audit: where each comes from and how it is loaded, without keeping them all in memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from fairopt.audit.descriptor import ModelSpec
from fairopt.audit.store import Facts
from fairopt.compress.calibration import Calibration, CalibrationSource, required
from fairopt.compress.compress import compress
from fairopt.compress.plan import needs_calibration, takes_shared_statistics
from fairopt.compress.recipe import Recipe
from fairopt.compress.recipe_text import parse
from fairopt.compress.record import has_record, record, stored_bytes
from fairopt.compress.statistics import describe_shared
from fairopt.compress.structure import apply as structure
from fairopt.compress.structure.pair_gap import PairGap, read_pairs
from fairopt.errors import InputError
from fairopt.models.loading import (
    DType,
    LoadedModel,
    check_folder,
    first_not_finite,
    hash_weights,
    identified,
    load_model,
    load_tokenizer,
    saved_by_fairopt,
)
from fairopt.models.loglikelihood import describe

ModelSource = str | Path | LoadedModel
BASE = "base"


@dataclass(frozen=True)
class Given:
    """What recipes are given beside the base model."""

    seed: int
    calibration: Calibration | None
    statistics: Path | None
    pairs: PairGap | None


@dataclass(frozen=True)
class Candidate:
    """One model that is loaded when its turn comes."""

    spec: ModelSpec
    load: Callable[[], LoadedModel]


def load(source: ModelSource, dtype: DType) -> LoadedModel:
    """A model in memory, a folder (of transformers or of ``fairopt.save``), ``"phantom"``, or a name on the hub."""
    if isinstance(source, LoadedModel):
        return source
    folder = Path(source).expanduser()
    if source == "phantom" or not saved_by_fairopt(folder):
        return load_model(source, dtype=dtype)
    from fairopt.compress import storage

    check_folder(folder)
    tokenizer = load_tokenizer(folder)
    return identified(storage.load(folder, dtype=getattr(torch, dtype)), tokenizer, str(source))


def facts(model: LoadedModel) -> Facts:
    """Measure a loaded model."""
    if not has_record(model.model):
        return Facts(model.weights_hash, stored_bytes(model.model), None, None)
    found = record(model.model)
    if not found.layers:  # a cache alone: nothing is stored in fewer bits
        return Facts(model.weights_hash, found.bytes, None, None)
    return Facts(model.weights_hash, found.bytes, found.bits_per_weight, found.sparsity)


def spec(model: LoadedModel) -> ModelSpec:
    """What identifies a loaded model and how it will be asked.

    Raises :class:`~fairopt.errors.InputError` for a weight that is no number: every answer would be none either.
    """
    broken = first_not_finite(model.model)
    if broken is not None:
        raise InputError(f"audit: weights of {model.name} must be finite, got NaN or infinity in {broken!r}")
    return ModelSpec(
        name=model.name,
        recipe="",
        weights_hash=model.weights_hash,
        tokenizer_hash=model.tokenizer_hash,
        dtype=str(model.model.dtype).removeprefix("torch."),
        engine=_engine(model),
        calibration=record(model.model).calibration if has_record(model.model) else None,
    )


def _engine(model: LoadedModel) -> dict[str, str]:
    if model.kind == "masked":
        return {"engine": "padded batches", "mask": str(model.tokenizer.mask_token)}
    return describe(model.model, model.tokenizer)


def candidates(
    base: LoadedModel,
    variants: Sequence[ModelSource],
    dtype: DType,
    seed: int,
    calibration: CalibrationSource | None = None,
    statistics: Path | None = None,
    pairs: str | os.PathLike[str] | None = None,
) -> list[Candidate]:
    """One for each variant, in order: recipes are applied to ``base``, everything else is loaded.

    Recipes that statistics of the dense model serve take those of the folder ``statistics``, if there is one; those
    with the score ``fasp`` the bias that the file ``pairs`` measures.

    Raises :class:`~fairopt.errors.InputError` for a name given twice, for a recipe that does not fit the base model and
    for pairs that cannot be used or that no recipe asks for, before any model runs.
    """
    if not variants:
        raise InputError("audit: variants must name at least one recipe or model, got none")
    tokens = None
    if calibration is not None:
        tokens = Calibration.for_model(base.model, calibration, tokenizer=base.tokenizer, seed=seed)
    gap = None if pairs is None else read_pairs(pairs, base.model, base.tokenizer)
    given = Given(seed, tokens, statistics, gap)
    found = [_candidate(base, variant, dtype, given) for variant in variants]
    if gap is not None and not any("pairs" in (candidate.spec.calibration or {}) for candidate in found):
        raise InputError("audit: pairs must go with a recipe that has the score fasp, got none")
    names = [BASE, *(candidate.spec.name for candidate in found)]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InputError(f"audit: variants must have names of their own, got {repeated[0]!r} twice")
    return found


def _candidate(base: LoadedModel, variant: ModelSource, dtype: DType, given: Given) -> Candidate:
    if not isinstance(variant, str) or variant == "phantom" or Path(variant).is_dir():
        return Candidate(spec(load(variant, dtype)), lambda: load(variant, dtype))
    recipe = parse(variant)
    compressed = replace(spec(base), name=variant, recipe=str(recipe), calibration=None)
    chains = structure.planned(base.model, recipe)
    if structure.needs_calibration(recipe.structure) or any(map(needs_calibration, chains.values())):
        required(tokens := given.calibration, "audit", recipe)
        assert tokens is not None
        if not takes_shared_statistics(recipe, chains):
            given = replace(given, statistics=None)
        described = tokens.describe() if given.statistics is None else describe_shared(tokens)
        compressed = replace(compressed, calibration=described)
    if not any(step.score == "fasp" for step in recipe.structure):
        given = replace(given, pairs=None)
    elif given.pairs is None:
        raise InputError(f"audit: pairs must be given for '{recipe}', which measures a bias, got None")
    else:
        compressed = replace(compressed, calibration={**(compressed.calibration or {}), **given.pairs.describe()})
    return Candidate(compressed, lambda: _compressed(base, variant, recipe, given))


def _compressed(base: LoadedModel, name: str, recipe: Recipe, given: Given) -> LoadedModel:
    model = compress(
        base.model,
        recipe,
        calibration=given.calibration,
        seed=given.seed,
        statistics=given.statistics,
        bias=given.pairs,
    )
    return replace(base, model=model, name=name, weights_hash=hash_weights(model))
