"""A recipe resolved against a model: which layer gets which chain. Everything that can be wrong is found here."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

import torch
from torch import nn

from fairopt.compress import kv_cache
from fairopt.compress.allocation import is_allocated
from fairopt.compress.gradients import check_has_loss
from fairopt.compress.layers import compressible_layers, dense_by_default, dense_weight, linear_layers
from fairopt.compress.prune_options import IterativePrune, KeepNOfM, Prune
from fairopt.compress.pruners import layer_pruner
from fairopt.compress.recipe import Chain, Hadamard, Quantize, Recipe, Step, Transform
from fairopt.compress.solver_options import Gptq, Hqq, RangeSearch, Rtn
from fairopt.compress.solvers import block_solver, layer_solver
from fairopt.errors import InputError

_DTYPES = (torch.float32, torch.float16, torch.bfloat16)
_LAYER_SOLVERS = (Rtn, RangeSearch, Hqq)  # those that see a weight and nothing else


def plan(model: nn.Module, recipe: Recipe) -> dict[str, Chain]:
    """Layer name -> chain, in the model's order; layers that stay as they are do not appear.

    The output head, embeddings and tied layers stay dense unless an override gives their full name. ``keep`` beats
    everything, and of several overrides that match a layer the last one wins. Raises
    :class:`~fairopt.errors.InputError` for a glob that matches nothing, no layer left to compress (unless the recipe is
    a cache alone), a block or m that does not divide a layer's K, weights that are not finite numbers of a supported
    type, or a model that cannot have the cache.
    Weights on the meta device are left to :func:`check_finite`, once read.
    """
    layers = compressible_layers(model)
    dense = dense_by_default(model)
    _check_keep(recipe, layers)
    _check_overrides(recipe, layers, dense)
    chains = {name: chain for name in layers if (chain := _chain_of(name, recipe, name in dense)) is not None}
    if recipe.kv_cache is not None:
        kv_cache.check(model, recipe.kv_cache)
    if not chains and (recipe.chain or recipe.overrides):
        raise InputError(
            f"compress: model must have a linear layer that '{recipe}' applies to, got {_names(linear_layers(model))}"
            " (the output head, embeddings and tied layers stay dense unless named in full)"
        )
    if any(map(needs_gradients, chains.values())):
        check_has_loss(model)
    for name, chain in chains.items():
        _check_layer(name, dense_weight(layers[name]), chain)
        _check_rotation(name, chain)
        if isinstance(layers[name], nn.Embedding):
            _check_embedding(name, chain)
    return chains


def _applies(glob: str, name: str, dense: bool) -> bool:
    return name == glob if dense else fnmatchcase(name, glob)


def _chain_of(name: str, recipe: Recipe, dense: bool) -> Chain | None:
    if any(fnmatchcase(name, glob) for glob in recipe.keep):
        return None
    for override in reversed(recipe.overrides):
        if _applies(override.glob, name, dense):
            return override.chain
    return None if dense else recipe.chain


def _check_keep(recipe: Recipe, layers: Iterable[str]) -> None:
    for glob in recipe.keep:
        if not any(fnmatchcase(name, glob) for name in layers):
            raise InputError(f"compress: keep must match a layer, got {glob!r}{_near(glob, layers)}")


def _check_overrides(recipe: Recipe, layers: Iterable[str], dense: set[str]) -> None:
    for override in recipe.overrides:
        if not any(_applies(override.glob, name, name in dense) for name in layers):
            only_dense = [name for name in layers if fnmatchcase(name, override.glob)]
            hint = f" (write '{only_dense[0]}' in full)" if only_dense else _near(override.glob, layers)
            raise InputError(f"compress: override must match a layer, got '{override}'{hint}")


def _check_layer(name: str, weight: torch.Tensor, chain: Chain) -> None:
    k = weight.shape[1]
    tensor = f"{name}.weight".lstrip(".")
    if weight.dtype not in _DTYPES:
        raise InputError(f"compress: weights must be float32, float16 or bfloat16, got {weight.dtype} in '{tensor}'")
    for step in chain.steps:
        if isinstance(step, Quantize) and step.block is not None and k % step.block and not step.pad:
            raise InputError(
                f"compress: block must divide K = {k} of '{name}', got {step.block}"
                " (choose another, or allow a short last block with 'pad')"
            )
        if isinstance(step, Prune) and isinstance(step.amount, KeepNOfM) and k % step.amount.m:
            raise InputError(
                f"compress: m must divide K = {k} of '{name}', got {step.amount} (keep={name} leaves it dense)"
            )
        if is_allocated(step) and step is not chain.steps[0]:
            raise InputError(f"compress: {step} must be the first step of its chain, got '{chain}' for '{name}'")
    if weight.device.type != "meta":
        check_finite(name, weight)


def _check_rotation(name: str, chain: Chain) -> None:
    step = chain.quantizer
    alone = isinstance(step, Quantize) and isinstance(step.solver, (*_LAYER_SOLVERS, Gptq)) and not step.int8_share
    if chain.rotates_inputs and not alone:
        raise InputError(
            f"compress: hadamard:online must be before one format of a whole layer, got '{chain}' for '{name}'"
        )
    pruned = False
    for each in chain.steps:
        pruned |= isinstance(each, Prune)
        if pruned and (isinstance(each, Hadamard) or chain.rotates_inputs):
            raise InputError(
                f"compress: what is pruned must not be rotated, which fills zeros, got '{chain}' for '{name}'"
                " (hadamard without online may come before pruning)"
            )


def _check_embedding(name: str, chain: Chain) -> None:
    step = chain.quantizer
    plain = isinstance(step, Quantize) and isinstance(step.solver, Rtn) and not (step.double_quant or step.int8_share)
    scored = any(isinstance(each, Prune) and layer_pruner(each).needs != "nothing" for each in chain.steps)
    if scored or any(isinstance(each, Transform) for each in chain.steps) or not (step is None or plain):
        raise InputError(
            "compress: an embedding must be pruned by magnitude or at random, or rounded to nearest, "
            f"got '{chain}' for '{name}'"
        )


def check_finite(name: str, weight: torch.Tensor) -> None:
    """Refuse a weight of layer ``name`` that holds NaN or infinity."""
    if weight.numel() == 0 or all(torch.isfinite(limit) for limit in torch.aminmax(weight)):  # one pass, nothing made
        return
    bad = weight.numel() - int(torch.count_nonzero(torch.isfinite(weight)))
    if bad:
        tensor = f"{name}.weight".lstrip(".")
        raise InputError(f"compress: weights must be finite, got {bad} NaN or infinite values in '{tensor}'")


def check_layer_by_layer(recipe: Recipe) -> None:
    """Refuse a recipe that :func:`looks_at_one_layer` says no to."""
    if not looks_at_one_layer(recipe):
        raise InputError(
            "compress: recipe must need no calibration and only one layer at a time to be applied while weights are"
            f" read, got '{recipe}' (load the model and use fairopt.compress)"
        )


def looks_at_one_layer(recipe: Recipe) -> bool:
    """Whether every step sees the weight of one layer and nothing else: no calibration texts, no neighbours."""
    if recipe.structure:
        return False
    chains = filter(None, [recipe.chain, *(override.chain for override in recipe.overrides)])
    return all(_sees_one_weight(step) for chain in chains for step in chain.steps)


def _sees_one_weight(step: Step) -> bool:
    if isinstance(step, Quantize):
        return isinstance(step.solver, _LAYER_SOLVERS)
    if isinstance(step, Prune):
        return layer_pruner(step).needs == "nothing" and not is_allocated(step)
    return not isinstance(step, Transform) or (isinstance(step, Hadamard) and step.online)


def needs_calibration(chain: Chain) -> bool:
    """Whether the chain has a step that looks at activations or gradients."""
    return any(map(_looks_at_tokens, chain.steps))


def _looks_at_tokens(step: Step) -> bool:
    if isinstance(step, Prune):
        return layer_pruner(step).needs != "nothing"
    if isinstance(step, Quantize):
        solver = layer_solver(step.solver)
        return block_solver(step.solver) is not None or (solver is not None and solver.needs != "nothing")
    return block_solver(step) is not None


def takes_shared_statistics(recipe: Recipe, chains: Mapping[str, Chain]) -> bool:
    """Whether statistics of the dense model (:mod:`fairopt.compress.statistics`) serve every step of a recipe."""
    if recipe.structure:
        return False
    return not any(_looks_at_neighbours(step) for chain in chains.values() for step in chain.steps)


def _looks_at_neighbours(step: Step) -> bool:
    if isinstance(step, Prune):
        return "gradients" in layer_pruner(step).needs or (isinstance(step, IterativePrune) and step.steps > 1)
    if isinstance(step, Quantize):
        return block_solver(step.solver) is not None
    return isinstance(step, Transform) and not (isinstance(step, Hadamard) and step.online)


def needs_gradients(chain: Chain) -> bool:
    """Whether the chain has a step that looks at gradients of the model's loss."""
    return any(isinstance(step, Prune) and "gradients" in layer_pruner(step).needs for step in chain.steps)


def _names(layers: Iterable[str]) -> str:
    names = list(layers)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "") if names else "none"


def _near(glob: str, layers: Iterable[str]) -> str:
    near = difflib.get_close_matches(glob, list(layers), n=2, cutoff=0.5)
    return f"; did you mean {' or '.join(near)}?" if near else f"; the model has {_names(layers)}"
