"""The Hadamard transform as torch meets it: contract, gradient, the product it leaves unchanged, refusals."""

from __future__ import annotations

import pytest
import torch
from quantized import DTYPES, normal
from scipy.linalg import hadamard as scipy_hadamard

from fairopt import ops

OP = torch.ops.fairopt.hadamard_transform.default


def test_a_power_of_two_is_sylvesters_matrix() -> None:
    matrix = torch.from_numpy(scipy_hadamard(32)).float()
    torch.testing.assert_close(ops.hadamard_transform(torch.eye(32)), (matrix / 32**0.5).T, rtol=2**-23, atol=0)


@pytest.mark.parametrize("cols", [1, 2, 12, 48, 128, 384, 56, 36, 7])
def test_is_orthonormal_and_the_transpose_inverts_it(cols: int) -> None:
    matrix = ops.hadamard_transform(torch.eye(cols)).double()
    # Entries are 0 or +-1/sqrt(size), each rounded twice; a product of two rows sums at most cols of them.
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(cols).double(), rtol=0, atol=2**-21)
    assert torch.equal(ops.hadamard_transform(torch.eye(cols), transpose=True).double(), matrix.T)


@pytest.mark.parametrize("cols", [64, 384, 28])
def test_leaves_a_product_unchanged(cols: int) -> None:
    x, weight = normal(5, cols), normal(6, cols, seed=1)
    rotated_x, rotated = ops.hadamard_transform(x), ops.hadamard_transform(weight)
    got = rotated_x.double() @ rotated.double().T
    # A transform is off by at most gamma(cols) times its row's 1-norm over sqrt(cols), so by cols u times the 2-norm in
    # each of cols values, sqrt(cols) as much in the 2-norm; the product by both of them.
    u = 1.01 * 2.0**-24
    bound = 2 * cols**1.5 * u * x.double().norm(dim=1)[:, None] * weight.double().norm(dim=1)
    assert bool(((got - x.double() @ weight.double().T).abs() <= bound).all())


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_opcheck(dtype: torch.dtype) -> None:
    torch.library.opcheck(OP, (normal(3, 2, 24, dtype=dtype).requires_grad_(),))
    torch.library.opcheck(OP, (normal(24, 3, dtype=dtype).T, True))


def test_gradient_is_the_transpose() -> None:
    x = normal(3, 48).requires_grad_()
    grad = normal(3, 48, seed=1)
    (got,) = torch.autograd.grad(ops.hadamard_transform(x), x, grad)
    assert torch.equal(got, ops.hadamard_transform(grad, transpose=True))


def test_compiles_whole() -> None:
    compiled = torch.compile(lambda x: ops.hadamard_transform(x * 2).sum(0), fullgraph=True, backend="aot_eager")
    x = normal(3, 40)
    torch.testing.assert_close(compiled(x), ops.hadamard_transform(x * 2).sum(0), rtol=0, atol=0)


def test_spreads_an_outlier() -> None:
    x = torch.zeros(384)
    x[77] = 100.0
    assert ops.hadamard_transform(x).abs().max() < 100.0 / 384**0.5 * (1 + 2**-22)


def test_empty_and_bad_inputs() -> None:
    assert ops.hadamard_transform(torch.empty(0, 8)).shape == (0, 8)
    with pytest.raises(ValueError, match=r"hadamard_transform: x must be of at least one column, got \[3, 0\]"):
        ops.hadamard_transform(torch.empty(3, 0))
    with pytest.raises(ValueError, match="hadamard_transform: x must be"):
        ops.hadamard_transform(torch.zeros(8, dtype=torch.int32))
