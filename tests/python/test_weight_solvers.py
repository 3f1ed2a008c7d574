"""Range search and HQQ: torch's contract, never worse than rounding to nearest, equal to the peer, through compress."""

from __future__ import annotations

import hqq.core.quantize as peer
import pytest
import torch
from hqq.core.optimize import optimize_weights_proximal_v2
from hypothesis import given, settings
from hypothesis import strategies as st
from quantized import normal
from random_models import gpt2, llama

import fairopt as fo
from fairopt import ops
from fairopt.compress.recipe import Quantize
from fairopt.compress.solver_options import Hqq, RangeSearch
from fairopt.compress.solvers.weight_error import HqqSolver, RangeSearchSolver
from fairopt.errors import InputError
from fairopt.formats import FORMATS

OPS = torch.ops.fairopt
FLOAT_ZEROS = [f"int{bits}_asym_float" for bits in (2, 3, 4, 5, 6, 8)]


def loss(weight: torch.Tensor, parts: tuple[torch.Tensor, ...], format: str, block: int, norm: float) -> float:
    codes, scales, zeros = parts
    values = ops.dequantize_blockwise(codes, scales, zeros, format, block, weight.shape[1])
    return float((values.double() - weight.double()).abs().pow(norm).sum())


@pytest.mark.parametrize("format", FORMATS)
def test_opcheck(format: str) -> None:
    torch.library.opcheck(OPS.range_search.default, (normal(3, 40), format, 32, 10, 2.4))
    if format in FLOAT_ZEROS:
        torch.library.opcheck(OPS.hqq.default, (normal(3, 40).requires_grad_(), format, 32))


@pytest.mark.parametrize("format", FORMATS)
def test_range_search_gains_in_every_format(format: str) -> None:
    weight = normal(64, 64)
    rtn = loss(weight, ops.quantize_blockwise(weight, format, 32), format, 32, 2.4)
    got = loss(weight, ops.range_search(weight, format, 32), format, 32, 2.4)
    fine = format.startswith(("int6", "int8"))  # next to nothing to gain
    assert got <= rtn if fine else got < 0.98 * rtn


@settings(max_examples=30)
@given(
    format=st.sampled_from(FORMATS),
    cols=st.integers(1, 70),
    seed=st.integers(0, 99),
    scale=st.sampled_from([1e-30, 1e-3, 1.0, 1e20]),
    norm=st.sampled_from([0.7, 2.0, 2.4, 4.0]),
)
def test_range_search_never_loses(format: str, cols: int, seed: int, scale: float, norm: float) -> None:
    weight = normal(3, cols, seed=seed) ** 3
    for unscaled in weight:  # one at a time: the loss of one row must not drown that of another
        row = unscaled[None] * scale
        unit = row / scale
        nearest = ops.quantize_blockwise(row, format, 32)
        found = ops.range_search(row, format, 32, norm=norm)
        values = [ops.dequantize_blockwise(*parts, format, 32, cols).double() / scale for parts in (nearest, found)]
        rtn, got = (float((value - unit.double()).abs().pow(norm).sum()) for value in values)
        assert got <= rtn * (1 + 2**-20)  # row / scale is rounded


@settings(max_examples=30)
@given(
    format=st.sampled_from(FLOAT_ZEROS),
    cols=st.integers(1, 70),
    seed=st.integers(0, 99),
    norm=st.sampled_from([0.3, 0.7, 1.0]),
)
def test_hqq_never_loses(format: str, cols: int, seed: int, norm: float) -> None:
    weight = normal(3, cols, seed=seed) ** 3
    rtn = loss(weight, ops.quantize_blockwise(weight, format, 32), format, 32, norm)
    assert loss(weight, ops.hqq(weight, format, 32, norm=norm), format, 32, norm) <= rtn * (1 + 2**-40)


def check_against_peer(weight: torch.Tensor, format: str, kappa: float, peer_parts: tuple[torch.Tensor, ...]) -> None:
    bits = int(format[3])
    codes, scales, zeros = ops.hqq(weight, format, 64, kappa=kappa, best=False)
    got = ops.dequantize_blockwise(codes, scales, zeros, format, 64, 256)
    peer_codes, inverse_scale, zero = (part.float().reshape(96, -1) for part in peer_parts)
    step, z = (1 / inverse_scale).repeat_interleave(64, 1), zero.repeat_interleave(64, 1)
    # The zero point, in steps, is a mean of 64 values of at most 2^bits steps: sums in another order and powers within
    # 2^-18 move it by less than 2^(bits - 16). One iteration more or less moves it by far more.
    slack = 2.0 ** (bits - 16)
    assert float((-zeros / scales - zero).abs().max()) < slack
    torch.testing.assert_close(scales, 1 / inverse_scale, rtol=2**-22, atol=0)
    position = weight / step + z
    tie = (position - position.floor() - 0.5).abs() < 2 * slack  # may be rounded either way
    assert bool((((got - (peer_codes - z) * step).abs() < 2 * slack * step) | tie).all())
    assert float(tie.float().mean()) < 4 * slack + 0.001


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("size", [0.02, 1.0])
def test_hqq_is_that_of_its_authors(bits: int, size: float) -> None:
    weight = normal(96, 256) * size
    codes, meta = peer.Quantizer.quantize(
        weight, nbits=bits, group_size=64, round_zero=bits == 4, axis=1, bitpack=False, device="cpu",
        compute_dtype=torch.float32,
    )  # fmt: skip
    # Its release 0.2.8 does not raise beta.
    check_against_peer(weight, f"int{bits}_asym_float", 1.0, (codes, 1 / meta["scale"], meta["zero"]))


def test_hqq_raises_beta_as_its_authors_second_version() -> None:
    weight = normal(96, 256)  # at 2 bits the mean error falls in all 20 iterations
    groups = weight.reshape(-1, 64)
    low, high = groups.amin(1, keepdim=True), groups.amax(1, keepdim=True)
    inverse_scale = 3 / (high - low)
    options = {"lp_norm": 0.7, "beta": 10.0, "kappa": 1.01, "iters": 20, "tol": 0.0, "early_stop": False}
    parts = optimize_weights_proximal_v2(
        groups, inverse_scale, -low * inverse_scale, [0, 3], axis=1, opt_params={**options, "scale_gridsearch": False}
    )
    check_against_peer(weight, "int2_asym_float", 1.01, parts)


def test_hqq_keeps_better_zero_points_than_its_authors() -> None:
    weight = normal(96, 256)
    for format in FLOAT_ZEROS:
        last = loss(weight, ops.hqq(weight, format, 64, best=False), format, 64, 0.7)
        assert loss(weight, ops.hqq(weight, format, 64), format, 64, 0.7) < last


@pytest.mark.parametrize("solver", [RangeSearchSolver(RangeSearch()), HqqSolver(Hqq())], ids=["mse", "hqq"])
def test_solvers_say_their_own_loss(solver: RangeSearchSolver | HqqSolver) -> None:
    weight, step = normal(16, 72), Quantize("int4_asym_float", 32, pad=True)
    norm = 2.4 if isinstance(solver, RangeSearchSolver) else 0.7
    solved = solver.solve(weight, step, None, 0)
    parts = (solved.codes, solved.scales, solved.zeros)
    assert solved.loss == loss(weight, parts, step.format, 32, norm)
    assert solved.rtn_loss == loss(weight, ops.quantize_blockwise(weight, step.format, 32), step.format, 32, norm)
    assert solved.loss < solved.rtn_loss


@pytest.mark.parametrize(
    "recipe", ["mse:int4,g=32", "mse:nf4,block=32", "hqq:int4,g=32", "hqq:int3,g=16", "mse:int8,row"]
)
def test_compress_says_what_was_gained(recipe: str) -> None:
    for model in (llama(), gpt2()):
        result = fo.compress(model, recipe)
        assert torch.isfinite(result(torch.tensor([[3, 4, 5]])).logits).all()
        for layer in fo.record(result).layers.values():
            assert layer.solver is not None
            assert layer.solver["loss"] <= layer.solver["rtn_loss"]


def test_refusals() -> None:
    with pytest.raises(ValueError, match=r"range_search: grid must be in \[1, 100\], got 101"):
        ops.range_search(normal(2, 32), "nf4", 32, grid=101)
    with pytest.raises(ValueError, match=r"range_search: weight must be finite"):
        ops.range_search(torch.full((2, 32), torch.nan), "nf4", 32)
    with pytest.raises(ValueError, match=r"hqq: weight must be a matrix, got \[32\]"):
        ops.hqq(normal(32), "int4_asym_float", 32)
    with pytest.raises(ValueError, match=r"hqq: format must be one of int2_asym_float to int8_asym_float, got 'nf4'"):
        ops.hqq(normal(2, 32), "nf4", 32)
    with pytest.raises(InputError, match="recipe: mse grid must be from 1 to 100, got 0"):
        RangeSearch(grid=0)
    with pytest.raises(InputError, match="recipe: hqq norm must be above 0 and at most 1, got 2"):
        Hqq(norm=2)
