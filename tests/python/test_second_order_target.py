"""second_order_target: against a dense least squares minimiser in NumPy, and that without pairs nothing changes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from quantized import normal

from fairopt import ops

K = 48


def mean_square(x: torch.Tensor) -> torch.Tensor:
    product = 2 / len(x) * x.T @ x
    return (product + product.T) / 2


def inputs() -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs that go together, and differences that lie in few directions."""
    x = normal(400, K, seed=1) @ (torch.eye(K) + normal(K, K, seed=2) / K**0.5)
    return x, normal(100, 5, seed=3) @ normal(5, K, seed=4)


def objective(weight: torch.Tensor, other: torch.Tensor, alpha: float, beta: float) -> float:
    """As the header of cpp/include/fairopt/second_order.h writes it, on the inputs themselves."""
    x, d = (part.double() for part in inputs())
    w, o = weight.double(), other.double()
    error = 2 / len(x) * (x @ (w - o).T).square().sum()
    pairs = (beta * (d @ (w - o).T).square().sum() + alpha * (d @ o.T).square().sum()) * 2 / len(d)
    return float(error + pairs)


@pytest.mark.parametrize(("alpha", "beta"), [(0.1, 0.0), (0.0, 2.0), (0.5, 0.5), (10.0, 1.0)])
def test_is_the_minimiser_that_least_squares_finds(alpha: float, beta: float) -> None:
    """Each term is a sum of squares: its rows one below the other are one least squares problem a row of W."""
    x, d = (part.double().numpy() for part in inputs())
    weight = normal(20, K)
    found = ops.second_order_target(weight, *map(mean_square, inputs()), alpha, beta, damp=0.0)
    w = weight.double().numpy()
    rows = [np.sqrt(2 / len(x)) * x, np.sqrt(2 * beta / len(d)) * d, np.sqrt(2 * alpha / len(d)) * d]
    wanted = [rows[0] @ w.T, rows[1] @ w.T, 0 * rows[2] @ w.T]
    expected = np.linalg.lstsq(np.concatenate(rows), np.concatenate(wanted), rcond=None)[0].T
    # H and D are sums of products in fp32, relative error 1e-6 or so, times the condition of A.
    condition = np.linalg.cond(found.hessian.double().numpy())
    assert np.abs(found.target.numpy() - expected).max() < 1e-6 * condition * np.abs(expected).max()
    assert found.report.tolist() == [0, 0]


@pytest.mark.parametrize(("alpha", "beta"), [(0.1, 0.0), (0.5, 0.5)])
def test_the_objective_is_a_quadratic_about_the_target(alpha: float, beta: float) -> None:
    weight, other = normal(20, K), normal(20, K, seed=9)
    target, hessian, _ = ops.second_order_target(weight, *map(mean_square, inputs()), alpha, beta, damp=0.0)
    error = (other - target).double()
    above = float(((error @ hessian.double()) * error).sum())
    least = objective(weight, target, alpha, beta)
    assert objective(weight, other, alpha, beta) == pytest.approx(least + above, rel=1e-5)
    assert least <= objective(weight, weight, alpha, beta)


def test_damping_pulls_to_the_weight_as_the_solvers_do() -> None:
    weight, (x, d) = normal(20, K), inputs()
    h, pairs = mean_square(x), mean_square(d)
    found = ops.second_order_target(weight, h, pairs, 0.5, 0.25, damp=0.1)
    damped = 0.1 * found.hessian.diagonal().mean().double() * torch.eye(K).double()
    # Gradient of the objective plus damp * mean(diag A) * |W - W'|^2.
    t, w = found.target.double(), weight.double()
    gradient = (t - w) @ (h + 0.25 * pairs + damped) + 0.5 * t @ pairs.double()
    assert gradient.abs().max() < 1e-5 * (t @ found.hessian.double()).abs().max()
    assert found.report[0] == 0.1


@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_solvers_given_the_target_lower_the_objective(alpha: float) -> None:
    weight, (x, d) = normal(20, K), inputs()
    h, pairs = mean_square(x), mean_square(d)
    target, hessian, _ = ops.second_order_target(weight, h, pairs, alpha, 1.0)
    for stock, second in (
        (ops.sparsegpt(weight, h, n=2, m=4).pruned, ops.sparsegpt(target, hessian, n=2, m=4).pruned),
        tuple(
            ops.dequantize_blockwise(*ops.gptq(w, a, "int3_sym", 16)[:3], "int3_sym", 16, K)
            for w, a in ((weight, h), (target, hessian))
        ),
    ):
        assert objective(weight, second, alpha, 1.0) < objective(weight, stock, alpha, 1.0)


def test_without_pairs_nothing_changes() -> None:
    weight, (x, d) = normal(20, K), inputs()
    h, pairs = mean_square(x), mean_square(d)
    found = ops.second_order_target(weight, h, pairs, 0.0, 0.0)
    assert torch.equal(found.target, weight)
    assert torch.equal(found.hessian, h)
    assert torch.equal(ops.second_order_target(weight, h, pairs, 0.0, 3.0).target, weight)


def test_what_was_pruned_stays_pruned() -> None:
    weight = normal(20, K) * (normal(20, K, seed=5) > 0)
    found = ops.second_order_target(weight, *map(mean_square, inputs()), 1.0, 0.0)
    assert torch.equal(found.target == 0, weight == 0)


def test_bits_do_not_depend_on_threads() -> None:
    weight, found, threads = normal(200, K), [], torch.get_num_threads()
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            found.append(ops.second_order_target(weight, *map(mean_square, inputs()), 0.5, 0.5))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((torch.eye(K), torch.eye(K), -1.0, 0.0), "alpha must be finite and >= 0, got -1"),
        ((torch.eye(K), torch.eye(K), 0.0, float("inf")), "beta must be finite and >= 0, got inf"),
        ((torch.eye(K), torch.eye(K), 0.0, 0.0, -1.0), "damp must be finite and >= 0, got -1"),
        ((torch.eye(K), torch.eye(3), 0.0, 0.0), rf"pair_hessian must be \[{K}, {K}\] for a weight"),
        ((torch.eye(K), torch.eye(K) / 0, 0.0, 0.0), "pair_hessian must be finite, got"),
        ((torch.eye(K) + 1e8 * torch.eye(K).flip(0), torch.eye(K), 0.0, 0.0), "hessian must be positive definite"),
    ],
)
def test_refuses(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(ValueError, match=f"second_order_target: {message}"):
        ops.second_order_target(normal(4, K), *arguments)


def test_opcheck() -> None:
    op, pairs = torch.ops.fairopt.second_order_target.default, tuple(map(mean_square, inputs()))
    torch.library.opcheck(op, (normal(6, K), *pairs, 0.5, 0.5))
    torch.library.opcheck(op, (normal(6, K).requires_grad_(), *pairs, 0.5, 0.5, 0.1))
