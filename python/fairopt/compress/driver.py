"""Compression block by block, for recipes that look at activations.

Each decoder block in turn is copied in fp32, pruned, prepared and rounded on what the compressed blocks before it make
of the calibration tokens, then run once more for the inputs of the next. Beside the model, memory holds the finished
layers, one such copy, the hidden states of all tokens and the Hessians of one block.
"""

from __future__ import annotations

import copy
import ctypes
import dataclasses
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import torch
from torch import nn
from torch.nn import functional

from fairopt.compress.architectures import LoneLayer
from fairopt.compress.blocks import Scaffold
from fairopt.compress.calibration import Calibration
from fairopt.compress.compress_layer import chain_solver, in_type_of, quantize_layer, report, solve_layer, stored_type
from fairopt.compress.exact_zeros import solving_chain
from fairopt.compress.gradients import Gradients
from fairopt.compress.hessian import Hessian, layer_hessians
from fairopt.compress.layers import dense_weight
from fairopt.compress.norms import layer_norms
from fairopt.compress.prune_layer import prune_layer
from fairopt.compress.prune_options import Prune
from fairopt.compress.pruners import layer_pruner
from fairopt.compress.pruners.base import layer_seed
from fairopt.compress.recipe import Chain, Quantize, Transform
from fairopt.compress.resume import FinishedBlocks, Reports, job_key
from fairopt.compress.solvers import block_solver
from fairopt.compress.solvers.base import BlockCall, BlockTask, Solved
from fairopt.nn import QuantizedLinear
from fairopt.progress import progress

_SUM_TYPES = {"hessian": torch.float32, "hessian_float64": torch.float64}


@dataclass(frozen=True)
class Solution:
    """What the driver made: modules to stand in the place of the model's, and what the solvers said."""

    modules: dict[str, nn.Module]  # decoder blocks, and layers outside them
    reports: Reports
    shared: dict[int, object]  # a deepcopy's memo: the configuration that the modules refer to, as they refer to it


def solve_blocks(
    model: nn.Module,
    chains: Mapping[str, Chain],
    calibration: Calibration,
    *,
    seed: int,
    resume: str | os.PathLike[str] | None = None,
    gradients: Mapping[str, Gradients] = MappingProxyType({}),
) -> Solution:
    """Compress the layers of ``chains``, which is a plan for ``model``; the model is not changed.

    Args:
        model: a module around decoder blocks (:func:`fairopt.compress.blocks.decoder_blocks`).
        chains: layer name -> what is done to it.
        calibration: tokens that fit the model.
        seed: of solvers that draw at random.
        gradients: of the layers whose pruners look at them.
        resume: a folder for finished blocks; those of the same job that it holds are not solved again.
    """
    chains = {name: in_type_of(dense_weight(model.get_submodule(name)), chain) for name, chain in chains.items()}
    scaffold = Scaffold(model, calibration)
    finished = None if resume is None else FinishedBlocks(resume, job_key(model, chains, calibration, seed))
    solution = Solution({}, {}, {})
    copy.deepcopy(getattr(model, "config", None), solution.shared)
    with progress("compress", len(chains), "layers") as advance:
        work = partial(_compress, finished=finished, gradients=gradients, advance=advance)
        hidden, arguments = scaffold.calls()
        for (name, block), passed in zip(scaffold.blocks.items(), arguments, strict=True):
            prefix = f"{name}."
            inside = {layer.removeprefix(prefix): c for layer, c in chains.items() if layer.startswith(prefix)}
            calls = [BlockCall(h, *given) for h, given in zip(hidden, passed, strict=True)]
            task = BlockTask(name, _dense_copy(block, solution.shared), inside, calls, seed, _types(block, inside))
            solution.reports.update({prefix + layer: said for layer, said in work(task).items()})
            hidden.clear()
            with torch.no_grad(), _multiplying_densely(task.block), progress(name, len(calls), "batches") as passed_on:
                while calls:
                    hidden.append(calls.pop(0)(task.block))
                    passed_on(1)
            solution.modules[name] = _like(task.block, block)
            _return_freed_memory()
        for name in [name for name in chains if name not in solution.reports]:
            layer = model.get_submodule(name)
            calls = [BlockCall(x) for x in scaffold.inputs_outside(layer, hidden)]
            alone = LoneLayer(_dense_copy(layer, solution.shared))
            types = {"layer": dense_weight(layer).dtype}
            task = BlockTask(name, alone, {"layer": chains[name]}, calls, seed, types)
            solution.reports[name] = work(task)["layer"]
            solution.modules[name] = _like(task.layer("layer"), layer)
    return solution


def _compress(
    task: BlockTask,
    finished: FinishedBlocks | None,
    gradients: Mapping[str, Gradients],
    advance: Callable[[int], None],
) -> Reports:
    """Turn the dense block of a task into the compressed one; layer name within it -> what its record says."""
    stored = finished.load(task.name) if finished is not None else None
    if stored is not None:
        tensors, reports = stored
        _rebuild(task, tensors)
        advance(len(task.chains))
        return reports
    prepared = _prepare(task, gradients)
    solved, reports = _solve(task, advance)
    reports = {name: prepared.get(name, {}) | said for name, said in reports.items()}
    for name, chain in task.chains.items():
        task.block.set_submodule(name, quantize_layer(task.layer(name), chain, solved.get(name)))
    if finished is not None:
        finished.save(task.name, task.block.state_dict(), reports)
    return reports


def _prepare(task: BlockTask, gradients: Mapping[str, Gradients]) -> Reports:
    """Prune and transform the block, the first step of every chain first; what pruners said."""
    reports: Reports = {}
    for position in range(max((len(chain.steps) for chain in task.chains.values()), default=0)):
        chains = {name: chain.steps[position:] for name, chain in task.chains.items()}
        steps = {name: left[0] for name, left in chains.items() if left}
        steps = {name: step for name, step in steps.items() if step is not task.chains[name].joint}
        pruned = _prune(task, {name: step for name, step in steps.items() if isinstance(step, Prune)}, gradients)
        for name, said in pruned.items():
            reports[name] = reports.get(name, {}) | said
        for step in dict.fromkeys(step for step in steps.values() if isinstance(step, Transform)):
            solver = block_solver(step)
            if solver is not None:
                solver.solve_block(task.only(name for name in steps if steps[name] == step))
    return reports


def _prune(task: BlockTask, steps: Mapping[str, Prune], gradients: Mapping[str, Gradients]) -> Reports:
    """Prune layers of the block, each on what the block as it is gives it; what the pruners said."""
    needs = {name: layer_pruner(step).needs for name, step in steps.items()}
    hessians = _hessians(task, needs)
    norms = layer_norms(task, [name for name, need in needs.items() if "norms" in need])
    reports: Reports = {}
    for name, step in steps.items():
        layer, full_name = task.layer(name), task.full_name(name)
        k = dense_weight(layer).shape[1]
        seen = hessians.pop(name).statistics(k) if name in hessians else norms.statistics(name, k)
        statistics = dataclasses.replace(seen, gradients=gradients.get(full_name))
        dtype = stored_type(task.chains[name], task.types[name])
        pruned, said = prune_layer(layer, step, statistics, layer_seed(task.seed, full_name), dtype)
        reports[name] = said | ({"tokens": seen.tokens} if needs[name] not in ("nothing", "gradients") else {})
        task.block.set_submodule(name, pruned)
    return reports


def _hessians(task: BlockTask, needs: Mapping[str, str]) -> dict[str, Hessian]:
    sums = {name: _SUM_TYPES[need] for name, need in needs.items() if need in _SUM_TYPES}
    return layer_hessians(task.only(sums).observe, sums) if sums else {}


def _solve(task: BlockTask, advance: Callable[[int], None]) -> tuple[dict[str, Solved], Reports]:
    """Choose codes for the layers that have a solver, in the formats of :func:`solving_chain`."""
    task = dataclasses.replace(task, chains={name: solving_chain(chain) for name, chain in task.chains.items()})
    options = {name: c.quantizer.solver for name, c in task.chains.items() if isinstance(c.quantizer, Quantize)}
    solved: dict[str, Solved] = {}
    for option in dict.fromkeys(options.values()):
        block = block_solver(option)
        if block is not None:
            solved |= block.solve_block(task.only(name for name in options if options[name] == option))
    waiting = [name for name in task.chains if name not in solved]
    solvers = {name: chain_solver(task.chains[name]) for name in waiting}
    hessians = _hessians(task, {name: solver.needs for name, solver in solvers.items() if solver is not None})
    reports: Reports = {name: report(solved.get(name)) for name in task.chains}
    advance(len(solved))
    for name in waiting:
        layer, statistics = task.layer(name), None
        if name in hessians:
            statistics = hessians.pop(name).statistics(dense_weight(layer).shape[1])
        found = solve_layer(layer, task.chains[name], statistics, task.seed)
        reports[name] = report(found) | ({"tokens": statistics.tokens} if statistics else {})
        if found is not None:
            solved[name] = found
        advance(1)
    return solved, reports


def _rebuild(task: BlockTask, tensors: Mapping[str, torch.Tensor]) -> None:
    """The compressed block from what was stored of it: layers of the same kinds, then their tensors."""
    for name, chain in task.chains.items():
        layer = quantize_layer(task.layer(name), chain, None)
        if f"{name}.order" in tensors:
            assert isinstance(layer, QuantizedLinear)
            solved = Solved(*layer.rows(), 0, 0, order=tensors[f"{name}.order"])
            layer = quantize_layer(task.layer(name), chain, solved)
        task.block.set_submodule(name, layer)
    task.block.load_state_dict(dict(tensors))


@contextmanager
def _multiplying_densely(block: nn.Module) -> Iterator[None]:
    """Quantised layers multiply by the weights that their codes say: of many rows at once that is faster."""
    layers = [module for module in block.modules() if isinstance(module, QuantizedLinear)]
    try:
        for layer in layers:
            layer.__dict__["forward"] = partial(_product, layer.dense_weight(), layer.bias)
        yield
    finally:
        for layer in layers:
            layer.__dict__.pop("forward", None)


def _product(weight: torch.Tensor, bias: torch.Tensor | None, x: torch.Tensor) -> torch.Tensor:
    return functional.linear(x, weight, bias)


def _return_freed_memory() -> None:
    """To the system, where the C library keeps it: what stays of a block splits what its temporaries leave behind, so
    that the next block takes new memory (four times as much in the end for 12 blocks of a Llama by AWQ)."""
    if sys.platform == "linux" and hasattr(ctypes.CDLL(None), "malloc_trim"):
        ctypes.CDLL(None).malloc_trim(0)


def _types(block: nn.Module, layers: Iterable[str]) -> dict[str, torch.dtype]:
    return {name: dense_weight(block.get_submodule(name)).dtype for name in layers}


def _dense_copy(module: nn.Module, shared: Mapping[int, object]) -> nn.Module:
    return copy.deepcopy(module, dict(shared)).float().eval().requires_grad_(False)


def _like(made: nn.Module, original: nn.Module) -> nn.Module:
    """``made``, a changed fp32 copy of ``original``, with its types, gradients and mode."""
    parameters, buffers = dict(original.named_parameters()), dict(original.named_buffers())
    modules = dict(original.named_modules())
    for name, parameter in made.named_parameters():
        if name in parameters:
            parameter.data = parameter.data.to(parameters[name].dtype)
            parameter.requires_grad_(parameters[name].requires_grad)
    for name, buffer in made.named_buffers():
        if name in buffers:
            buffer.data = buffer.data.to(buffers[name].dtype)
    for name, module in made.named_modules():
        module.training = modules[name].training if name in modules else original.training
    return made
