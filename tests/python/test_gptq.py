"""GPTQ: against the paper's loop in NumPy, against every assignment of codes, and what must hold for any input."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from quantized import normal

from fairopt import ops
from fairopt.compress.calibration import Calibration
from fairopt.compress.recipe import Quantize
from fairopt.compress.second_order import damped_loss
from fairopt.compress.solver_options import Gptq
from fairopt.compress.solvers.base import Statistics
from fairopt.compress.solvers.gptq import GptqSolver
from fairopt.errors import InputError

FORMATS = ["int2_sym", "int3_sym", "int4_sym", "int4_asym", "int8", "nf4", "fp4", "fp8", "int4_asym_float"]
ORDERS = ["none", "static", "dynamic"]


def correlated(k: int, tokens: int = 400, seed: int = 1) -> torch.Tensor:
    """The Hessian of inputs that go together, some much larger than others."""
    x = normal(tokens, k, seed=seed) @ (torch.eye(k) + normal(k, k, seed=seed + 1) / k**0.5)
    x = x * (1 + 4 * torch.rand(k, generator=torch.Generator().manual_seed(seed)))
    hessian = 2 / tokens * x.T @ x
    return (hessian + hessian.T) / 2  # a matrix product need not be symmetric to the last bit


def dense(found: ops.Gptq, format: str, block: int, k: int) -> torch.Tensor:
    weight = ops.dequantize_blockwise(found.codes, found.scales, found.zeros, format, block, k)
    return torch.empty_like(weight).index_copy_(1, found.order, weight) if len(found.order) else weight


def nearest(weight: torch.Tensor, format: str, block: int) -> torch.Tensor:
    return ops.dequantize_blockwise(*ops.quantize_blockwise(weight, format, block), format, block, weight.shape[1])


def loss(error: torch.Tensor, hessian: torch.Tensor, damp: float = 0.0) -> float:
    h = hessian.double()
    h = h + damp * h.diagonal().mean() * torch.eye(len(h))
    return float(((error.double() @ h) * error.double()).sum())


# ---- the paper's loop ----


def paper(weight: np.ndarray, hessian: np.ndarray, bits: int, block: int, act_order: str, damp: float):
    """Steps 3 to 7 of the algorithm as published, in float64, the whole matrix updated after every column.

    Symmetric codes: scale = amax / (2^(b-1) - 0.5) of a block's current weights in fp32, codes stored + 2^(b-1).
    """
    n, k = weight.shape
    half = 2 ** (bits - 1)
    h = hessian.astype(np.float64)
    order = np.argsort(-np.diag(h), kind="stable") if act_order != "none" else np.arange(k)

    def scale_of(values: np.ndarray) -> np.ndarray:
        return np.abs(values.astype(np.float32)).max(1) / np.float32(half - 0.5)

    blocks = -(-k // block)
    scales = np.stack([scale_of(weight[:, b * block : (b + 1) * block]) for b in range(blocks)], 1)
    w = weight.astype(np.float64)[:, order]
    h = h[order][:, order]
    h += damp * np.diag(h).mean() * np.eye(k)
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    codes = np.zeros((n, k), int)
    total = 0.0
    for i in range(k):
        at = order[i] if act_order == "static" else i
        if act_order != "static" and i % block == 0:
            scales[:, i // block] = scale_of(w[:, i : i + block])
        scale = scales[:, at // block]
        q = np.clip(np.round(w[:, i].astype(np.float32) / scale), -half, half - 1)
        codes[:, at] = q + half
        error = (w[:, i] - (q * scale).astype(np.float32)) / u[i, i]
        w[:, i:] -= np.outer(error, u[i, i:])
        total += (error**2).sum()
    return codes, scales, order, total


def unpacked(codes: torch.Tensor, bits: int, k: int) -> np.ndarray:
    string = np.unpackbits(codes.numpy(), axis=1)[:, : k * bits].reshape(len(codes), k, bits)
    return string @ (1 << np.arange(bits)[::-1])


@pytest.mark.parametrize("act_order", ORDERS)
@pytest.mark.parametrize(
    ("bits", "block", "k"), [(4, 32, 160), (3, 48, 200), (2, 160, 160), (4, 256, 300), (3, 16, 36)]
)
def test_codes_are_those_of_the_papers_loop(bits: int, block: int, k: int, act_order: str) -> None:
    weight, hessian = normal(70, k), correlated(k)
    found = ops.gptq(weight, hessian, f"int{bits}_sym", block, act_order)
    codes, scales, order, total = paper(weight.numpy(), hessian.numpy(), bits, block, act_order, 0.01)
    assert np.array_equal(unpacked(found.codes, bits, k), codes)
    assert np.array_equal(found.scales.numpy(), scales)
    assert np.array_equal(found.order.numpy(), order if act_order == "dynamic" else [])
    # The same sum in another order, of terms that rest on an inverse here and on none there.
    assert found.report[0].item() == pytest.approx(total, rel=1e-9)


# ---- the objective ----


@pytest.mark.parametrize("act_order", ORDERS)
@pytest.mark.parametrize("format", FORMATS)
def test_the_loss_is_the_objective_and_below_rounding_to_nearest(format: str, act_order: str) -> None:
    weight, hessian = normal(70, 96), correlated(96)
    found = ops.gptq(weight, hessian, format, 32, act_order)
    error = weight - dense(found, format, 32, 96)
    # weight - Q is rounded to fp32 above: 2^-24 of |w| <= 5 against errors of 1e-2 and more.
    assert found.report[0].item() == pytest.approx(loss(error, hessian, 0.01), rel=1e-4 if format == "int8" else 1e-5)
    assert found.report[1:].tolist() == [0.01, 0]
    assert found.report[0] < 0.9 * loss(weight - nearest(weight, format, 32), hessian, 0.01)
    assert damped_loss(error, hessian, 0.01) == pytest.approx(found.report[0].item(), rel=1e-3)


@pytest.mark.parametrize("act_order", ORDERS)
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("diagonal", ["identity", "any", "zero"])
def test_is_rounding_to_nearest_where_inputs_are_independent(format: str, act_order: str, diagonal: str) -> None:
    weight = normal(70, 80)
    values = {"identity": torch.ones(80), "any": torch.arange(80, 0, -1.0), "zero": torch.zeros(80)}[diagonal]
    found = ops.gptq(weight, values.diag(), format, 32, act_order)
    for mine, plain in zip(found, ops.quantize_blockwise(weight, format, 32), strict=False):
        assert torch.equal(mine, plain)


# ---- every assignment of codes ----

# With k <= 4 all columns are one block whose scale is that of the weights as they lie, whatever is chosen: the codes
# alone are searched. GPTQ is greedy, so it finds the optimum only where no column depends on another (k = 1, diagonal
# H). What always holds: its choice for a column is the best of all codes if the columns after it could still take any
# real value, and its loss is never below the least of all assignments.


def all_codes(weight: torch.Tensor, format: str) -> torch.Tensor:
    """The values [n, codes] that a row's codes stand for."""
    scale = ops.quantize_blockwise(weight, format, 16)[1]
    bits = int(format[3])
    return (torch.arange(2**bits) - 2 ** (bits - 1)) * scale


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_lies_between_the_best_of_all_assignments_and_rounding_to_nearest(k: int) -> None:
    best, mine, plain = [], [], []
    for seed in range(40):
        weight, hessian = normal(3, k, seed=seed), correlated(k, seed=seed + 100)
        h = hessian.double()
        chosen = dense(ops.gptq(weight, hessian, "int2_sym", 16, damp=0.0), "int2_sym", 16, k)
        for row, codes in enumerate(all_codes(weight, "int2_sym")):
            errors = (weight[row] - torch.tensor(list(itertools.product(codes.tolist(), repeat=k)))).double()
            best.append(((errors @ h) * errors).sum(1).min().item())
            mine.append(loss((weight[row] - chosen[row])[None], hessian))
        plain.append(loss(weight - nearest(weight, "int2_sym", 16), hessian))
    assert all(m >= b * (1 - 1e-6) for m, b in zip(mine, best, strict=True))
    if k == 1:
        assert mine == pytest.approx(best, rel=1e-6)
    else:
        assert sum(best) < sum(mine) < 0.95 * sum(plain)


@pytest.mark.parametrize("k", [2, 3, 4])
@pytest.mark.parametrize("act_order", ["none", "dynamic"])
def test_each_code_is_the_best_while_later_columns_are_free(k: int, act_order: str) -> None:
    weight, hessian = normal(12, k, seed=k), correlated(k, seed=k)
    found = ops.gptq(weight, hessian, "int2_sym", 16, act_order, damp=0.0)
    order = found.order if act_order == "dynamic" else torch.arange(k)
    chosen, values = dense(found, "int2_sym", 16, k)[:, order], all_codes(weight, "int2_sym")
    w, h = weight[:, order].double(), hessian[order][:, order].double()
    for j in range(k):
        rest = h[j + 1 :, j + 1 :]
        # What is left of H on the first columns when the others are chosen to make up for them best (Schur).
        left = h[: j + 1, : j + 1] - h[: j + 1, j + 1 :] @ torch.linalg.solve(rest, h[j + 1 :, : j + 1])
        for row in range(len(w)):
            error = (w[row] - chosen[row])[: j + 1].repeat(4, 1)
            error[:, j] = w[row, j] - values[row]
            costs = ((error @ left) * error).sum(1)
            mine = costs[(values[row] - chosen[row, j]).abs().argmin()]
            assert mine <= costs.min() * (1 + 1e-6)


# ---- what must hold for any input ----


@settings(max_examples=60)
@given(
    rows=st.integers(1, 70),
    k=st.integers(1, 150),
    format=st.sampled_from(FORMATS),
    block=st.sampled_from([16, 32, 48, 128, 160]),
    act_order=st.sampled_from(ORDERS),
    tokens=st.integers(1, 40),
    seed=st.integers(0, 10),
)
def test_any_shape_with_any_hessian(rows, k, format, block, act_order, tokens, seed) -> None:
    """Few tokens make H singular: damping alone makes it definite."""
    weight, x = normal(rows, k, seed=seed), normal(tokens, k, seed=seed + 1)
    hessian = 2 / tokens * x.T @ x
    found = ops.gptq(weight, hessian, format, block, act_order)
    plain = ops.quantize_blockwise(weight, format, block)
    assert [t.shape for t in found[:3]] == [t.shape for t in plain]
    assert [t.dtype for t in found[:3]] == [t.dtype for t in plain]
    error = weight - dense(found, format, block, k)
    assert bool(torch.isfinite(error).all())
    true = loss(error, hessian, found.report[1].item())
    # fp32 rounding of the error, 2^-24 of |w| < 6 a value: its square counts where the error itself is that small.
    slack = 1e-4 * true + 1e-9 * float(hessian.diagonal().sum()) * rows
    assert abs(found.report[0].item() - true) <= slack
    if act_order == "dynamic":
        assert torch.equal(found.order.sort().values, torch.arange(k))


@pytest.mark.parametrize("act_order", ["static", "dynamic"])
def test_the_order_of_the_inputs_does_not_matter_when_they_are_sorted(act_order: str) -> None:
    k, block = 48, 48  # one block: its scale is that of the same weights
    weight, hessian = normal(20, k), correlated(k)
    shuffle = torch.randperm(k, generator=torch.Generator().manual_seed(0))
    whole = dense(ops.gptq(weight, hessian, "int3_sym", block, act_order), "int3_sym", block, k)
    mixed = ops.gptq(weight[:, shuffle], hessian[shuffle][:, shuffle], "int3_sym", block, act_order)
    assert torch.equal(dense(mixed, "int3_sym", block, k), whole[:, shuffle])


def test_bits_do_not_depend_on_threads_nor_on_other_rows() -> None:
    weight, hessian = normal(200, 160), correlated(160)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = ops.gptq(weight, hessian, "int4_sym", 32)
        torch.set_num_threads(3)
        three = ops.gptq(weight, hessian, "int4_sym", 32)
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(a, b) for a, b in zip(one, three, strict=True))
    some = ops.gptq(weight[:128], hessian, "int4_sym", 32)
    assert torch.equal(some.codes, one.codes[:128])


def test_inputs_are_not_changed_and_need_not_be_contiguous() -> None:
    weight, hessian = normal(96, 20).T, correlated(96)
    before = weight.clone(), hessian.clone()
    found = ops.gptq(weight, hessian.T, "int4_sym", 32)
    again = ops.gptq(weight.contiguous(), hessian, "int4_sym", 32)
    assert torch.equal(weight, before[0])
    assert torch.equal(hessian, before[1])
    assert torch.equal(found.codes, again.codes)


@pytest.mark.parametrize("format", ["int4_sym", "int4_asym", "nf4"])
def test_pruned_weights_stay_zero(format: str) -> None:
    weight = normal(20, 64)
    weight[normal(20, 64, seed=5) > 0] = 0
    found = dense(ops.gptq(weight, correlated(64), format, 32), format, 32, 64)
    assert not found[weight == 0].any()


# ---- damping ----


def test_damping_is_raised_until_it_is_enough_and_reported() -> None:
    x = normal(1, 32)
    hessian = 2 * x.T @ x  # rank one
    found = ops.gptq(normal(8, 32), hessian, "int4_sym", 32, damp=0.0)
    assert 0 < found.report[1] <= 0.08  # fp32 rounding of H makes eigenvalues of -1e-7, not of size
    indefinite = torch.tensor([[1.0, 3.0], [3.0, 1.0]])
    found = ops.gptq(normal(8, 2), indefinite, "int4_sym", 16, damp=0.01)
    assert 2 < found.report[1] <= 4  # the least eigenvalue is -2, and each raise doubles


@pytest.mark.parametrize(
    ("hessian", "message"),
    [
        (
            torch.tensor([[1.0, 1e8], [1e8, 1.0]]),
            "gptq: hessian must be positive definite when damped, got one that is not",
        ),
        (
            torch.tensor([[1.0, float("nan")], [float("nan"), 1.0]]),
            "gptq: hessian must be finite, got 2 NaN or infinite",
        ),
        (torch.ones(2, 3), r"gptq: hessian must be \[2, 2\] for a weight \[4, 2\], got \[2, 3\]"),
        (torch.ones(2, 2, dtype=torch.float64), "gptq: hessian must be float32, got float64"),
    ],
)
def test_refuses_hessians(hessian: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ops.gptq(normal(4, 2), hessian, "int4_sym", 16)


def test_refuses_other_arguments() -> None:
    weight, hessian = normal(4, 32), torch.eye(32)
    with pytest.raises(ValueError, match="gptq: act_order must be one of none, static, dynamic, got weight"):
        ops.gptq(weight, hessian, "int4_sym", 32, "weight")
    with pytest.raises(ValueError, match="gptq: damp must be finite and >= 0, got -1"):
        ops.gptq(weight, hessian, "int4_sym", 32, damp=-1)
    with pytest.raises(ValueError, match="gptq: block must be a multiple of 16"):
        ops.gptq(weight, hessian, "int4_sym", 20)
    with pytest.raises(ValueError, match="gptq: weight must be finite"):
        ops.gptq(weight / 0, hessian, "int4_sym", 32)
    with pytest.raises(InputError, match=r"recipe: gptq damp must be at least 0, got -1\.0"):
        Gptq(damp=-1.0)


@pytest.mark.parametrize("act_order", ORDERS)
@pytest.mark.parametrize("format", ["int3_asym", "nf4", "int4_asym_float"])
def test_opcheck(format: str, act_order: str) -> None:
    torch.library.opcheck(torch.ops.fairopt.gptq.default, (normal(6, 35), correlated(35), format, 16, act_order, 0.01))
    torch.library.opcheck(torch.ops.fairopt.gptq.default, (normal(2, 35).requires_grad_(), torch.eye(35), format, 16))


def test_empty_weights() -> None:
    found = ops.gptq(torch.empty(0, 32), torch.eye(32), "int4_sym", 32)
    assert found.codes.shape == (0, 16)
    assert found.report.tolist() == [0, 0.01, 0]


# ---- the solver ----


def test_the_solver_reports_both_losses_and_what_happened() -> None:
    weight, hessian = normal(24, 64), correlated(64)
    hessian[5] = hessian[:, 5] = 0
    quantize = Quantize("int3_sym", 32, solver=Gptq(act_order="dynamic"))
    solved = GptqSolver(quantize.solver).solve(weight, quantize, Statistics(hessian, 400), seed=0)
    assert solved.notes == {"damp": 0.01, "dead": 1}
    mean = hessian.diagonal().mean()
    counted = hessian + torch.zeros(64, 64).index_put((torch.tensor(5), torch.tensor(5)), mean)
    counted = counted + 0.01 * mean * torch.eye(64)
    plain = weight - nearest(weight, "int3_sym", 32)
    assert solved.rtn_loss == pytest.approx(loss(plain, counted), rel=1e-4)
    assert solved.loss < solved.rtn_loss
    assert solved.order is not None


def test_beats_rounding_to_nearest_on_a_real_layer_with_real_inputs(models_dir: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = models_dir / "TinyStories-656K"
    model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    story = "Once upon a time, there was a little girl named Lily. She loved to play with her red ball in the park. "
    sequence = Calibration.of([story * 20], tokenizer=tokenizer, length=256).sequences[0]
    inputs: list[torch.Tensor] = []
    layer = model.model.layers[1].mlp.down_proj
    handle = layer.register_forward_pre_hook(lambda module, given: inputs.append(given[0]))
    with torch.no_grad():
        model(sequence[None])
    handle.remove()
    x = inputs[0][0]
    hessian = 2 / len(x) * x.T @ x
    weight = layer.weight.detach()
    for bits in (2, 3, 4):
        for act_order in ORDERS:
            found = ops.gptq(weight, hessian, f"int{bits}_sym", 32, act_order)
            solved = weight - dense(found, f"int{bits}_sym", 32, weight.shape[1])
            plain = weight - nearest(weight, f"int{bits}_sym", 32)
            # Undamped: the squared error of what the layer puts out, which is what was to become small.
            assert (x @ solved.T).square().sum() < 0.5 * (x @ plain.T).square().sum()
