"""AWQ, SmoothQuant and SignRound on decoder blocks of every known architecture."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from decoder_blocks import FAMILIES, block_name, block_task, model_of, outputs
from quantized import normal
from torch import nn
from transformers import AutoModelForCausalLM

import fairopt as fo
from fairopt import ops
from fairopt.compress.architectures import LAYOUTS, LoneLayer, block_layout, fold_scale, folds_among
from fairopt.compress.layers import dense_weight
from fairopt.compress.recipe import Quantize, SmoothQuant
from fairopt.compress.solver_options import Awq, SignRound
from fairopt.compress.solvers.awq import AwqSolver, grouped
from fairopt.compress.solvers.base import BlockTask, Solved
from fairopt.compress.solvers.block_error import Codes, block_error, standing_in, values
from fairopt.compress.solvers.integer_grid import integer_grid, pack_codes, stored
from fairopt.compress.solvers.signround import SignRoundSolver
from fairopt.compress.solvers.smoothquant import SmoothQuantSolver
from fairopt.errors import InputError
from fairopt.formats import FORMATS

INT4 = Quantize("int4_sym", 32)


def test_every_family_is_tested() -> None:
    assert {type(model_of(family).get_submodule(block_name(model_of(family)))).__name__ for family in FAMILIES} == set(
        LAYOUTS
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_folding_powers_of_two_changes_no_bit(family: str) -> None:
    # Products and quotients by powers of two are exact, so every sum is of the same terms.
    task = block_task(model_of(family), INT4)
    layout = block_layout(task.block, "test")
    before, weights = outputs(task), copy.deepcopy(task.block.state_dict())
    used = folds_among(task.block, layout, task.chains)
    for i, fold in enumerate(used):
        k = dense_weight(task.layer(fold.layers[0])).shape[1]
        fold_scale(task.block, fold, 2.0 ** normal(k, seed=i).mul(2).round())
        assert not torch.equal(dense_weight(task.layer(fold.layers[0])), weights[f"{fold.layers[0]}.weight"])
    assert torch.equal(outputs(task), before)
    grouped_queries = family in ("llama", "mistral", "qwen2", "qwen3")
    assert len(layout.folds) - len(used) == grouped_queries  # v -> o


def test_with_a_key_for_each_query_values_are_folded_too() -> None:
    task = block_task(model_of("llama", num_key_value_heads=4), INT4)
    layout = block_layout(task.block, "test")
    assert folds_among(task.block, layout, task.chains) == list(layout.folds)


def test_layers_of_other_steps_are_left_alone() -> None:
    task = block_task(model_of("llama", num_key_value_heads=4), INT4)
    layout = block_layout(task.block, "test")
    for missing, left in (("self_attn.q_proj", 3), ("self_attn.v_proj", 2), ("mlp.down_proj", 3), ("mlp.up_proj", 2)):
        assert len(folds_among(task.block, layout, task.chains.keys() - {missing})) == left


def test_an_unknown_block_and_one_that_normalises_late_are_refused() -> None:
    with pytest.raises(
        InputError, match=r"awq: decoder block must be one of GPT2Block, .*Qwen3DecoderLayer, got Linear"
    ):
        block_layout(nn.Linear(2, 2), "awq")
    block = block_task(model_of("opt", do_layer_norm_before=False), INT4).block
    with pytest.raises(InputError, match="must normalise before its layers, got OPTDecoderLayer that does so after"):
        block_layout(block, "awq")


def error_of(task: BlockTask, solved: dict[str, Solved], step: Quantize, dense: nn.Module) -> float:
    """The block's mean squared error with these codes, computed here."""
    weights = {
        name: values(Codes(s.codes, s.scales, s.zeros), step, dense_weight(task.layer(name)).shape[1])
        for name, s in solved.items()
    }
    with standing_in(task.block, weights):
        return block_error(task.block, task.calls, [call(dense) for call in task.calls])


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("solver", [AwqSolver(Awq()), SignRoundSolver(SignRound(steps=20))], ids=["awq", "signround"])
@torch.no_grad()
def test_beats_rounding_to_nearest_at_the_output_of_the_block(family: str, solver: Any) -> None:
    task = block_task(model_of(family), INT4, batches=1, tokens=24)
    dense = copy.deepcopy(task.block)
    plain = {name: Solved(*ops.quantize_blockwise(dense_weight(task.layer(name)), "int4_sym", 32), 0, 0)
             for name in task.chains}  # fmt: skip
    rtn_loss = error_of(task, plain, INT4, dense)
    solved = dict(solver.solve_block(task))
    assert solved.keys() == task.chains.keys()
    loss = error_of(task, solved, INT4, dense)
    assert loss < rtn_loss
    for layer in solved.values():
        assert (layer.loss, layer.rtn_loss) == pytest.approx((loss, rtn_loss), rel=1e-12)  # float64 sums of the same


@pytest.mark.parametrize(
    ("solver", "format"),
    [
        (AwqSolver(Awq()), "int4_asym"),
        (AwqSolver(Awq()), "nf4"),
        (AwqSolver(Awq(clip=False)), "int4_sym"),
        (SignRoundSolver(SignRound(steps=60)), "int4_asym"),
        (SignRoundSolver(SignRound(steps=60)), "int8"),
    ],
    ids=["awq-int4_asym", "awq-nf4", "awq-unclipped", "signround-int4_asym", "signround-int8"],
)
def test_gains_on_a_trained_block(models_dir: Path, solver: Any, format: str) -> None:
    model = AutoModelForCausalLM.from_pretrained(models_dir / "TinyStories-656K").eval()
    solved = solver.solve_block(block_task(model, Quantize(format, 32), batches=1))
    layer = next(iter(solved.values()))
    assert layer.loss < 0.97 * layer.rtn_loss


def test_awq_leaves_a_block_alone_where_there_is_nothing_to_gain() -> None:
    task = block_task(model_of("llama"), Quantize("int8", 32), batches=1)
    for name in task.chains:  # weights that int8 holds exactly
        weight = dense_weight(task.layer(name))
        weight.mul_(64).round_().clamp_(-127, 127)
        weight[:, ::32] = 127
        weight.mul_(2.0**-7)
    before = copy.deepcopy(task.block.state_dict())
    for layer in AwqSolver(Awq()).solve_block(task).values():
        assert layer.loss == layer.rtn_loss == 0
    assert all(torch.equal(before[name], tensor) for name, tensor in task.block.state_dict().items())


@pytest.mark.parametrize("solver", [AwqSolver(Awq()), SignRoundSolver(SignRound(steps=10))], ids=["awq", "signround"])
def test_the_same_seed_gives_the_same_codes(solver: Any) -> None:
    first, second = (solver.solve_block(block_task(model_of("llama"), INT4, tokens=16)) for _ in range(2))
    assert all(torch.equal(first[name].codes, second[name].codes) for name in first)


@pytest.mark.parametrize("family", FAMILIES)
def test_smoothquant_takes_planted_outliers_out_of_the_activations(family: str) -> None:
    model = model_of(family)
    block = model.get_submodule(block_name(model))
    layout = block_layout(block, "test")
    fold = layout.norms[0]
    with torch.no_grad():  # two channels a hundred times as large, weights that make up for it
        scale = torch.ones(64)
        scale[[3, 40]] = 0.01
        fold_scale(block, fold, scale)
    task = block_task(model, INT4)
    before = outputs(task)

    def crest() -> float:
        seen: list[torch.Tensor] = []
        task.observe(lambda name, x: seen.append(x) if name == fold.layers[0] else None)
        largest = torch.cat([x.flatten(0, -2) for x in seen]).abs().amax(0)
        return float(largest.max() / largest.median())

    outlier = crest()
    assert SmoothQuantSolver(SmoothQuant(0.5)).solve_block(task) == {}
    assert outlier > 30
    assert crest() < outlier / 4
    # Each factor of a product is rounded once more, by u = 2^-24; sums of at most 128 of them, a few layers deep.
    torch.testing.assert_close(outputs(task), before, rtol=0, atol=float(before.abs().max()) * 2.0**-24 * 4 * 128)


def test_smoothquant_moves_all_or_nothing_at_the_ends_of_alpha() -> None:
    task = block_task(model_of("llama"), INT4)
    SmoothQuantSolver(SmoothQuant(0.0)).solve_block(task)  # s = 1 / max|w|: weights all reach 1
    fold = block_layout(task.block, "test").norms[0]
    largest = torch.stack([dense_weight(task.layer(name)).abs().amax(0) for name in fold.layers]).amax(0)
    torch.testing.assert_close(largest, torch.ones(64), rtol=2**-22, atol=0)


INTEGER_FORMATS = [format for format in FORMATS if format.startswith("int")]


@pytest.mark.parametrize("format", INTEGER_FORMATS)
def test_the_differentiable_grid_is_the_format(format: str) -> None:
    weight = normal(24, 72)
    groups = grouped(weight, 32)
    low, high = groups.amin(2, keepdim=True), groups.amax(2, keepdim=True)
    low[:, -1], high[:, -1] = weight[:, 64:].amin(1, keepdim=True), weight[:, 64:].amax(1, keepdim=True)
    grid = integer_grid(format, low, high)
    got = values(stored(grid, grid.steps(groups, torch.zeros_like(groups)), format, 72), Quantize(format, 32), 72)
    want = ops.dequantize_blockwise(*ops.quantize_blockwise(weight, format, 32), format, 32, 72)
    # A weight in the middle between two steps may go either way, and nothing else.
    step = grid.scale.abs().expand_as(groups).flatten(1)[:, :72]
    near = (got - want).abs() <= 2.0**-20 * weight.abs().max()
    tie = ((got - weight).abs() - (want - weight).abs()).abs() <= 2.0**-19 * step
    assert bool((near | tie).all())
    assert float(near.float().mean()) > 0.99


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 8])
@pytest.mark.parametrize("k", [1, 8, 21])
def test_codes_are_packed_as_a_bit_string(bits: int, k: int) -> None:
    codes = torch.randint(2**bits, (3, k), generator=torch.Generator().manual_seed(bits), dtype=torch.uint8)
    packed = pack_codes(codes, bits)
    for row, octets in zip(codes.tolist(), packed.tolist(), strict=True):
        string = "".join(f"{code:0{bits}b}" for code in row)
        string += "0" * (-len(string) % 8)
        assert octets == [int(string[i : i + 8], 2) for i in range(0, len(string), 8)]


def test_the_gradient_of_the_grid_reaches_ranges_and_rounding() -> None:
    groups = grouped(normal(4, 64), 32)
    alpha = torch.ones(4, 2, 1, requires_grad=True)
    shift = torch.zeros_like(groups, requires_grad=True)
    grid = integer_grid("int4_asym", groups.amin(2, keepdim=True), alpha * groups.amax(2, keepdim=True))
    grid.values(grid.steps(groups, shift)).square().sum().backward()
    assert alpha.grad is not None
    assert bool(alpha.grad.abs().sum() > 0)
    assert shift.grad is not None
    assert bool(shift.grad.abs().sum() > 0)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("recipe", ["awq:int4,g=32", "signround:int4,g=32,steps=10", "smoothquant+int4:g=32"])
def test_compresses_every_family(family: str, recipe: str) -> None:
    model = model_of(family)
    before = copy.deepcopy(model.state_dict())
    ids = torch.randint(3, 96, (4, 32), generator=torch.Generator().manual_seed(1))
    result = fo.compress(model, recipe, calibration=list(ids))
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    with torch.no_grad():
        assert torch.equal(result(ids).logits, fo.compress(model, recipe, calibration=list(ids))(ids).logits)
    if "smoothquant" not in recipe:  # which finishes no layer
        for layer in fo.record(result).layers.values():
            assert layer.solver is not None
            assert layer.solver["loss"] < layer.solver["rtn_loss"]


def test_a_head_that_is_named_has_nothing_to_fold_into() -> None:
    ids = list(torch.randint(3, 96, (4, 32), generator=torch.Generator().manual_seed(1)))
    for solver in ("awq", "signround"):
        result = fo.compress(model_of("llama"), f"int8:g=32;lm_head={solver}:int4,g=32", calibration=ids)
        said = fo.record(result).layers["lm_head"].solver
        assert said is not None
        assert said["loss"] < said["rtn_loss"]
    alone = LoneLayer(nn.Linear(64, 8))
    assert block_layout(alone, "test").folds == ()


def test_signround_refuses_a_codebook() -> None:
    with pytest.raises(InputError, match="recipe: signround format must be an integer one, got 'nf4'"):
        Quantize("nf4", 32, solver=SignRound())
