"""Apply a recipe to a model."""

from __future__ import annotations

import copy
import dataclasses
import os
import warnings
from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from torch import nn

from fairopt.compress import kv_cache, quantization_config, record
from fairopt.compress.allocation import allocate
from fairopt.compress.calibration import Calibration, CalibrationSource, required
from fairopt.compress.compress_layer import compress_layer
from fairopt.compress.driver import Solution, solve_blocks
from fairopt.compress.gradients import layer_gradients
from fairopt.compress.layers import compressible_layers, dense_by_default, dense_weight, untie
from fairopt.compress.plan import needs_calibration, needs_gradients, plan, takes_shared_statistics
from fairopt.compress.prune_rounds import earlier_rounds
from fairopt.compress.recipe import Chain, KVCache, Recipe
from fairopt.compress.recipe_text import parse
from fairopt.compress.resume import Reports, hash_weights
from fairopt.compress.rotation import rotated
from fairopt.compress.statistics import SharedStatistics, collect
from fairopt.compress.structure import apply
from fairopt.compress.structure.pair_gap import PairGap
from fairopt.compress.structure.scores_knockout import Measure
from fairopt.errors import InputError
from fairopt.nn import pack
from fairopt.progress import progress

Model = TypeVar("Model", bound=nn.Module)


def compress(
    model: Model,
    recipe: str | Mapping[str, object] | Recipe,
    *,
    calibration: CalibrationSource | None = None,
    tokenizer: Any = None,
    seed: int = 0,
    resume: str | os.PathLike[str] | None = None,
    bias: Measure | None = None,
    statistics: SharedStatistics | str | os.PathLike[str] | None = None,
) -> Model:
    """A compressed copy of ``model``: cut, pruned and quantised as ``recipe`` says (docs/recipes.md).

    The input is never changed and shares no tensor with the result. Beside it memory holds what is compressed or stays;
    with a recipe that looks at activations also a block in fp32, its statistics and the hidden states of all tokens.

    Args:
        model: any module; with decoder blocks where a recipe looks at activations. Head and tied layers stay dense.
        recipe: text, mapping or :class:`~fairopt.compress.recipe.Recipe`.
        calibration: for such a recipe, others look at none: texts or token ids, of which at most 128 sequences of 512
            tokens are taken, a :class:`~fairopt.compress.calibration.Calibration` or a ``CalibrationFile``.
        tokenizer, seed: of the model, when ``calibration`` is texts; recorded, and used by what draws at random.
        resume: a folder that keeps finished decoder blocks of such a recipe: killed, the same call goes on from there.
        statistics: of the dense model, for steps that look at one layer at a time (``gptq``, ``sparsegpt``, ``wanda``):
            from :mod:`fairopt.compress.statistics`, or a folder to keep them in, which recipes then share.
        bias: of a model, for the score ``fasp``: the less the better. It is called with one unit switched off.

    Raises:
        InputError: for a recipe that does not fit the model, weights that are not finite, a model that is compressed
            already, or calibration that is missing or does not fit. Nothing is computed by then.
    """
    recipe = parse(recipe)
    _check_uncompressed(model)
    apply.check_bias(recipe.structure, bias)
    chains = apply.planned(model, recipe)
    dense_bytes = record.stored_bytes(model)
    shared, tokens = _seen(model, recipe, chains, statistics, calibration, tokenizer, seed)
    cut = apply.restructured(model, recipe.structure, tokens, seed=seed, bias=bias)
    chains = plan(cut.model, recipe) if cut.steps else chains
    model = rotated(cut.model, chains, seed)
    for earlier in earlier_rounds(chains):
        model = _put_together(model, earlier, None, _solve(model, earlier, tokens, seed, resume))
    solution = _solve(model, chains, tokens, seed, resume, shared)
    result = _put_together(model, chains, recipe.kv_cache, solution)
    _warn_of_few_tokens(model, chains, solution.reports)
    stored = record.describe(recipe, chains, dense_bytes, result, seed, solution.reports, shared or tokens)
    record.attach(result, _with_structure(stored, cut, bias))
    quantization_config.note(result, stored.recipe)
    pack(result)
    return result


def _with_structure(stored: record.Record, cut: apply.Restructured[Any], bias: Measure | None) -> record.Record:
    if isinstance(bias, PairGap):
        stored = dataclasses.replace(stored, calibration={**(stored.calibration or {}), **bias.describe()})
    return dataclasses.replace(stored, structure=cut.steps, unsaid_sizes=cut.unsaid_sizes)


def _seen(
    model: nn.Module,
    recipe: Recipe,
    chains: Mapping[str, Chain],
    statistics: SharedStatistics | str | os.PathLike[str] | None,
    source: CalibrationSource | None,
    tokenizer: Any,
    seed: int,
) -> tuple[SharedStatistics | None, Calibration | None]:
    """The statistics and the tokens that a recipe looks at; none for one that looks at none."""
    if not apply.needs_calibration(recipe.structure) and not any(map(needs_calibration, chains.values())):
        return None, None
    if statistics is None:
        source = required(source, "compress", recipe)
        tokens = Calibration.for_model(model, source, tokenizer=tokenizer, seed=seed)
        if tokens.length < 2 and (apply.needs_loss(recipe.structure) or any(map(needs_gradients, chains.values()))):
            raise InputError(
                f"compress: calibration must have sequences of two tokens for '{recipe}', got one token each"
            )
        return None, tokens
    if not takes_shared_statistics(recipe, chains):
        raise InputError(f"compress: statistics must go with steps that look at one layer at a time, got '{recipe}'")
    if isinstance(statistics, str | os.PathLike):
        statistics = collect(model, required(source, "compress", recipe), statistics, tokenizer=tokenizer, seed=seed)
    elif source is not None:
        raise InputError("compress: calibration must be None beside statistics, which have theirs, got some")
    elif statistics.weights_hash != hash_weights(model):
        raise InputError("compress: statistics must be of the model that is compressed, got those of other weights")
    return statistics, statistics.calibration


def _check_uncompressed(model: nn.Module) -> None:
    if record.has_record(model):
        done = record.record(model).recipe
        raise InputError(f"compress: model must be uncompressed (join steps with '+'), got one compressed by '{done}'")


def _put_together(model: Model, chains: Mapping[str, Chain], cache: KVCache | None, solution: Solution) -> Model:
    """A copy of the model with the compressed modules in the place of its own."""
    # deepcopy puts what memo holds in the place of the old module, wherever the model refers to it.
    memo = solution.shared | {id(model.get_submodule(name)): module for name, module in solution.modules.items()}
    result = copy.deepcopy(model, memo)
    if any(name in chains for name in dense_by_default(model)):
        untie(result)
    if cache is not None:
        kv_cache.attach(result, cache)
    return result


def _solve(
    model: nn.Module,
    chains: Mapping[str, Chain],
    tokens: Calibration | None,
    seed: int,
    resume: str | os.PathLike[str] | None,
    shared: SharedStatistics | None = None,
) -> Solution:
    """Block by block where a chain looks at tokens, but for embeddings: they come before every block."""
    chains = allocate(model, chains, tokens)
    if tokens is None or shared or not any(map(needs_calibration, chains.values())):
        return _solve_layers(model, chains, seed, shared)
    wanted = [name for name, chain in chains.items() if needs_gradients(chain)]
    gradients = layer_gradients(model, wanted, tokens) if wanted else {}
    tables = {name: chain for name, chain in chains.items() if isinstance(model.get_submodule(name), nn.Embedding)}
    others = {name: chain for name, chain in chains.items() if name not in tables}
    solution = solve_blocks(model, others, tokens, seed=seed, resume=resume, gradients=gradients)
    apart = _solve_layers(model, tables, seed)
    solution.modules.update(apart.modules)
    solution.reports.update(apart.reports)
    return solution


def _solve_layers(
    model: nn.Module, chains: Mapping[str, Chain], seed: int, shared: SharedStatistics | None = None
) -> Solution:
    """Layer by layer: none of the chains looks at activations, or these are known."""
    solution = Solution({}, {}, {})
    layers = compressible_layers(model)
    with torch.no_grad(), progress("compress", len(chains), "layers") as advance:
        for name, chain in chains.items():
            seen = shared.layer(name) if shared and needs_calibration(chain) else None
            made = compress_layer(layers[name], chain, name, seed, seen)
            solution.modules[name], solution.reports[name] = made
            advance(1)
    return solution


def _warn_of_few_tokens(model: nn.Module, chains: Mapping[str, Chain], reports: Reports) -> None:
    few = {
        name: int(reports[name]["tokens"])
        for name in chains
        if "tokens" in reports[name] and reports[name]["tokens"] < dense_weight(model.get_submodule(name)).shape[1]
    }
    if few:
        names = ", ".join(f"{name} ({tokens})" for name, tokens in few.items())
        warnings.warn(f"compress: {len(few)} layers saw fewer calibration tokens than inputs: {names}", stacklevel=3)
