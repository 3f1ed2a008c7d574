"""Sparse weights on CUDA against the CPU and float64."""

from __future__ import annotations

import pytest
import torch
from test_sparse_linear import TYPES, dense_of, pruned_linear, sparse_weight

import fairopt as fo
from fairopt import ops

SIZES = [(1, 1, 1.0), (5, 31, 0.5), (64, 1024, 0.3), (70, 1057, 0.5), (33, 200, 0.0)]  # rows, columns, density


@pytest.mark.cuda
@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_unpack_sparse_on_cuda_is_the_inverse(dtype: torch.dtype) -> None:
    for n, k, density in SIZES:
        weight, scales = sparse_weight(n, k, density, dtype)
        packed = ops.pack_sparse(weight.cuda(), None if scales is None else scales.cuda())
        words, values = n * -(-k // 32), int(torch.count_nonzero(weight))
        assert (
            packed.numel() == 8 * (n + 1) + 4 * words + (4 * n if scales is not None else 0) + values * dtype.itemsize
        )
        again, again_scales = ops.unpack_sparse(packed, dtype, n, k)
        assert torch.equal(again.cpu(), weight)
        assert scales is None or torch.equal(again_scales.cpu(), scales)


@pytest.mark.cuda
@pytest.mark.parametrize("x_type", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_sparse_linear_on_cuda_agrees_with_float64(dtype: torch.dtype, x_type: torch.dtype) -> None:
    for n, k, density in SIZES:
        weight, scales = sparse_weight(n, k, density, dtype)
        packed = ops.pack_sparse(weight.cuda(), None if scales is None else scales.cuda())
        dense = dense_of(weight, scales)
        bias = torch.randn(n).to(x_type)
        for m in (0, 1, 2, 3, 5, 8):
            x = torch.randn(m, k).to(x_type)
            y = ops.sparse_linear(x.cuda(), packed, bias.cuda(), dtype, n).cpu()
            exact = x.double() @ dense.T + bias.double()
            # At most k products and additions in fp32, each within 2^-24 of the sum of magnitudes, then one rounding.
            magnitude = x.double().abs() @ dense.abs().T + bias.double().abs()
            bound = (k + 8) * 2.0**-24 * magnitude
            bound += torch.finfo(x_type).eps / 2 * (exact.abs() + bound) + torch.finfo(x_type).tiny
            assert y.dtype == x_type
            assert ((y.double() - exact).abs() <= bound).all(), (n, k, m)


@pytest.mark.cuda
@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_a_row_on_cuda_is_the_same_bits_whatever_the_other_rows(dtype: torch.dtype) -> None:
    weight, scales = sparse_weight(100, 1057, 0.5, dtype)
    packed = ops.pack_sparse(weight.cuda(), None if scales is None else scales.cuda())
    x = torch.randn(8, 1057, device="cuda")
    y = ops.sparse_linear(x, packed, None, dtype, 100)
    for m in range(1, 8):
        assert torch.equal(ops.sparse_linear(x[:m], packed, None, dtype, 100), y[:m])
        assert torch.equal(ops.sparse_linear(x[8 - m :], packed, None, dtype, 100), y[8 - m :])


@pytest.mark.cuda
def test_many_rows_meet_the_dense_weight() -> None:
    weight, scales = sparse_weight(70, 130, 0.5, torch.int8)
    packed = ops.pack_sparse(weight.cuda(), scales.cuda())
    x = torch.randn(40, 130, dtype=torch.float64).float().cuda()
    y = ops.sparse_linear(x, packed, None, torch.int8, 70)
    torch.testing.assert_close(y.cpu().double(), x.cpu().double() @ dense_of(weight, scales).T, rtol=1e-2, atol=1e-2)


@pytest.mark.cuda
def test_a_sparse_layer_moves_to_cuda_and_back() -> None:
    layer = fo.nn.SparseLinear.from_linear(pruned_linear()).pack()
    before = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    x = torch.randn(3, 130)
    y = layer(x)
    layer.cuda()
    assert layer.packed is not None
    assert layer.packed.is_cuda
    torch.testing.assert_close(layer(x.cuda()).cpu(), y)
    assert {name: t.tolist() for name, t in layer.state_dict().items()} == {n: t.tolist() for n, t in before.items()}
    assert torch.equal(layer.cpu()(x), y)


@pytest.mark.cuda
def test_gradients_on_cuda() -> None:
    weight, scales = sparse_weight(20, 33, 0.5, torch.int8)
    packed = ops.pack_sparse(weight.cuda(), scales.cuda())
    x = torch.randn(4, 33, device="cuda", requires_grad=True)
    ops.sparse_linear(x, packed, None, torch.int8, 20).sum().backward()
    expected = dense_of(weight, scales).sum(0).float().expand(4, -1)
    torch.testing.assert_close(x.grad.cpu(), expected, rtol=1e-4, atol=1e-4)
