"""Recipes with SparseGPT: alone, solved together with a format, and both solvers with a term for pairs."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import random_models
import torch
from quantized import normal

import fairopt
from fairopt import ops
from fairopt.compress import statistics
from fairopt.compress.prune_options import KeepNOfM, SparseGpt
from fairopt.compress.pruners.sparsegpt import SparseGptPruner
from fairopt.compress.recipe import QUANTIZERS, Quantize
from fairopt.compress.recipe_text import parse
from fairopt.compress.solver_options import Gptq
from fairopt.compress.solvers.base import PairTerm, Statistics
from fairopt.compress.solvers.gptq import GptqSolver
from fairopt.compress.solvers.sparsegpt import SparseGptSolver

FORMATS = [(word, dialect) for word, entry in QUANTIZERS.items() for dialect in entry.dialects]


def ids(sequences: int = 12, length: int = 32) -> list[torch.Tensor]:
    return list(torch.randint(96, (sequences, length), generator=torch.Generator().manual_seed(0)))


def hessian(k: int, seed: int = 1) -> torch.Tensor:
    x = normal(200, k, seed=seed) @ (torch.eye(k) + normal(k, k, seed=seed + 1) / k**0.5)
    return 2 / len(x) * x.T @ x


@pytest.mark.parametrize("recipe", ["sparsegpt:0.5", "sparsegpt:2:4", "sparsegpt:4:8,float64"])
def test_prunes_every_layer_by_its_amount_and_says_what_it_was_worth(recipe: str) -> None:
    small = fairopt.compress(random_models.llama(hidden=64), recipe, calibration=ids())
    stored = fairopt.record(small)
    assert stored.sparsity == 0.5
    for layer in stored.layers.values():
        assert layer.solver is not None
        assert layer.solver["pruning_loss"] < layer.solver["magnitude_loss"]
        assert (layer.kept, layer.solver["damp"], layer.solver["tokens"]) == (0.5, 0.01, 384)


@pytest.mark.parametrize(
    ("recipe", "joint"),
    [
        ("sparsegpt:0.5+int4", True),
        ("sparsegpt:2:4+gptq:int4", True),
        ("magnitude:0.1+sparsegpt:0.5+nf4", True),
        ("sparsegpt:0.5", False),
        ("sparsegpt:0.5+mse:int4", False),
        ("sparsegpt:0.5+w8a8", False),
        ("sparsegpt:0.5+magnitude:0.6+int4", False),
        ("wanda:0.5+int4", False),
    ],
)
def test_is_solved_together_with_a_format_right_behind_it(recipe: str, joint: bool) -> None:
    assert (parse(recipe).chain.joint is not None) == joint


@pytest.mark.parametrize(("word", "dialect"), FORMATS)
def test_zeros_are_zero_in_every_format(word: str, dialect: str) -> None:
    option = QUANTIZERS[word].block_option
    options = f":{option}=32" + (f",{dialect}" if dialect else "")
    small = fairopt.compress(random_models.llama(hidden=64), f"sparsegpt:2:4+{word}{options}", calibration=ids())
    for name, layer in fairopt.record(small).layers.items():
        weight = small.get_submodule(name).dense_weight()
        assert bool(((weight == 0).view(-1, 4).sum(1) >= 2).all())  # and 2:4 still
        assert layer.solver is not None
        assert layer.solver["loss"] < layer.solver["rtn_loss"]
        assert layer.kept == 0.5


@pytest.mark.parametrize("act_order", ["none", "static", "dynamic"])
def test_gptqs_order_of_columns_is_used(act_order: str) -> None:
    weight, statistics = normal(24, 64), Statistics(hessian(64), 200)
    step, options = SparseGpt(KeepNOfM(2, 4)), Gptq(act_order=act_order, damp=0.05)
    quantize = Quantize("int3_sym", 32, solver=options)
    solved = SparseGptSolver(step, options).solve(weight, quantize, statistics, seed=0)
    found = ops.sparsegpt(weight, hessian(64), n=2, m=4, format="int3_sym", block=32, act_order=act_order, damp=0.05)
    assert torch.equal(solved.codes, found.codes)
    assert (solved.order is not None) == (act_order == "dynamic")
    assert solved.notes == {"kept": 0.5, "damp": 0.05, "dead": 0}


def test_resumed_gives_the_same_bytes(tmp_path) -> None:
    model, recipe = random_models.llama(hidden=64), "sparsegpt:2:4+gptq:int4,g=32,act_order=dynamic"
    first, second = (fairopt.compress(model, recipe, calibration=ids(), resume=tmp_path) for _ in range(2))
    assert all(
        torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )
    assert fairopt.record(first) == fairopt.record(second)


def test_what_a_bf16_model_stores_is_what_the_solver_chose(tmp_path) -> None:
    model, name = random_models.llama(hidden=64).bfloat16(), "model.layers.0.mlp.up_proj"
    collected = statistics.collect(model, ids(), tmp_path)
    weight, seen = model.get_submodule(name).weight.detach().float(), collected.layer(name)
    chosen = ops.sparsegpt(weight, seen.hessian, prune=weight.numel() // 2, dtype=torch.bfloat16)
    small = fairopt.compress(model, "sparsegpt:0.5", statistics=collected)
    assert torch.equal(small.get_submodule(name).weight.float(), chosen.pruned)
    assert fairopt.record(small).layers[name].solver["pruning_loss"] == chosen.report[0]
    stored = fairopt.compress(model, "sparsegpt:0.5+sparse:bf16", statistics=collected).get_submodule(name)
    assert torch.equal(stored.dense_weight().float(), chosen.pruned)
    # Block by block, on what compressed blocks make of the tokens: what passed on is what is stored.
    blocks = fairopt.compress(model, "sparsegpt:0.5", calibration=ids()).float()
    finer = fairopt.compress(copy.deepcopy(model).float(), "sparsegpt:0.5", calibration=ids())
    weights = [m.get_submodule(name).weight for m in (blocks, finer)]
    assert torch.equal(weights[0].bfloat16().float(), weights[0])
    assert not torch.equal(weights[1].bfloat16().float(), weights[1])


# ---- what statistics may be ----


def test_damping_that_was_needed_and_dead_inputs_are_recorded() -> None:
    weight = normal(8, 16)
    indefinite = torch.eye(16)
    indefinite[0, 1] = indefinite[1, 0] = 3
    notes = SparseGptPruner(SparseGpt(0.5)).prune(weight, 0.5, Statistics(indefinite, 10), seed=0).notes
    assert 2 < notes["damp"] <= 4  # the least eigenvalue is -2, and each raise doubles
    dead = torch.eye(16)
    dead[3, 3] = 0
    pruned = SparseGptPruner(SparseGpt(0.5)).prune(weight, 0.5, Statistics(dead, 10), seed=0)
    assert pruned.notes["dead"] == 1
    assert not pruned.weight[:, 3].any()


def test_a_layer_that_saw_no_input_is_pruned_by_magnitude() -> None:
    weight = normal(8, 16)
    pruned = SparseGptPruner(SparseGpt(0.5)).prune(weight, 0.5, Statistics(torch.zeros(16, 16), 0), seed=0)
    assert torch.equal(pruned.weight, weight * ops.prune_mask(weight, 64))


# ---- the term for pairs ----


@pytest.mark.parametrize(("alpha", "beta"), [(0.0, 0.0), (0.5, 0.0), (0.0, 2.0)])
def test_solvers_take_a_term_for_pairs(alpha: float, beta: float) -> None:
    """With none of it they are the stock methods, bit for bit."""
    weight, pairs = normal(24, 64), hessian(64, seed=7)
    stock = Statistics(hessian(64), 200)
    given = dataclasses.replace(stock, pairs=PairTerm(pairs, alpha, beta))
    target, combined, _ = ops.second_order_target(weight, hessian(64), pairs, alpha, beta)
    quantize = Quantize("int3_sym", 32, solver=Gptq())
    gptq, both = GptqSolver(Gptq()), SparseGptSolver(SparseGpt(0.5), None)
    assert torch.equal(
        gptq.solve(weight, quantize, given, 0).codes, ops.gptq(target, combined, "int3_sym", 32, "static").codes
    )
    pruned = SparseGptPruner(SparseGpt(0.5)).prune(weight, 0.5, given, seed=0)
    assert torch.equal(pruned.weight, ops.sparsegpt(target, combined, prune=768).pruned)
    assert pruned.notes["alpha"] == alpha
    assert pruned.notes["beta"] == beta
    if alpha == beta == 0:
        assert torch.equal(pruned.weight, SparseGptPruner(SparseGpt(0.5)).prune(weight, 0.5, stock, seed=0).weight)
        for solver in (gptq, both):
            for a, b in zip(*(solver.solve(weight, quantize, s, 0).codes for s in (stock, given)), strict=True):
                assert torch.equal(a, b)
