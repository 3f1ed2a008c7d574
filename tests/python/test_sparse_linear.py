"""Ops of sparse weights and ``fo.nn.SparseLinear``: against dense products, torch's contract, storage to the bit."""

from __future__ import annotations

import copy
import pickle
import re
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import fairopt as fo
from fairopt import ops
from fairopt.errors import InputError

TYPES = (torch.float32, torch.float16, torch.bfloat16, torch.int8)


def sparse_weight(n: int, k: int, density: float, dtype: torch.dtype, seed: int = 0) -> tuple[torch.Tensor, Any]:
    """A weight with a share of nonzeros and, for int8, its scales."""
    random = torch.Generator().manual_seed(seed)
    keep = torch.rand(n, k, generator=random) < density
    if dtype == torch.int8:
        codes = torch.randint(-127, 128, (n, k), generator=random)
        codes[codes == 0] = 1
        return (codes * keep).to(torch.int8), torch.rand(n, generator=random)
    return (torch.randn(n, k, generator=random) * keep).to(dtype), None


def dense_of(weight: torch.Tensor, scales: torch.Tensor | None) -> torch.Tensor:
    """The weight in float64."""
    return weight.double() if scales is None else weight.double() * scales.double()[:, None]


@given(st.integers(0, 130), st.integers(0, 140), st.sampled_from([0, 0.1, 0.5, 1]), st.sampled_from(TYPES))
@settings(max_examples=60, deadline=None)
def test_unpack_is_the_inverse_of_pack(n: int, k: int, density: float, dtype: torch.dtype) -> None:
    weight, scales = sparse_weight(n, k, density, dtype)
    again, again_scales = ops.unpack_sparse(ops.pack_sparse(weight, scales), dtype, n, k)
    assert torch.equal(again, weight)
    assert scales is None or torch.equal(again_scales, scales)
    bitmap = ops.to_bitmap(weight)
    assert bitmap.shape == (n, -(-k // 8))
    assert torch.equal(ops.from_bitmap(bitmap, weight[weight != 0], k), weight)


def test_the_bitmap_has_column_0_in_the_lowest_bit() -> None:
    weight = torch.tensor([[1.0, 0, 0, 0, 0, 0, 0, 2, 3, 0]])
    assert ops.to_bitmap(weight).tolist() == [[0b10000001, 0b00000001]]


@pytest.mark.parametrize("x_type", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("dtype", TYPES)
def test_the_product_is_that_of_the_dense_weight(dtype: torch.dtype, x_type: torch.dtype) -> None:
    for n, k, density in ((70, 130, 0.5), (64, 64, 1.0), (5, 200, 0.0), (130, 33, 0.1)):
        weight, scales = sparse_weight(n, k, density, dtype)
        x = torch.randn(3, 5, k, generator=torch.Generator().manual_seed(1)).to(x_type)
        bias = torch.randn(n, generator=torch.Generator().manual_seed(2)).to(x_type)
        y = ops.sparse_linear(x, ops.pack_sparse(weight, scales), bias, dtype, n)
        dense = dense_of(weight, scales)
        expected = x.double() @ dense.t() + bias.double()
        # k products and additions of fp32, each at most eps of the sum of magnitudes, and one rounding to x's type.
        magnitudes = x.double().abs() @ dense.abs().t() + bias.double().abs()
        bound = (k + 4) * 2.0**-24 * magnitudes + torch.finfo(x_type).eps / 2 * expected.abs()
        assert y.dtype == x_type
        assert y.shape == (3, 5, n)
        assert bool(((y.double() - expected).abs() <= bound * 1.01 + torch.finfo(x_type).tiny).all())


@pytest.mark.parametrize("dtype", TYPES)
def test_bits_depend_on_neither_batch_nor_threads(dtype: torch.dtype) -> None:
    weight, scales = sparse_weight(300, 500, 0.4, dtype)
    packed = ops.pack_sparse(weight, scales)
    x = torch.randn(40, 500)
    whole = ops.sparse_linear(x, packed, None, dtype, 300)
    for rows in (slice(0, 1), slice(7, 10), slice(20, 37)):
        assert torch.equal(ops.sparse_linear(x[rows], packed, None, dtype, 300), whole[rows])
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1 if threads > 1 else 2)
        assert torch.equal(ops.sparse_linear(x, packed, None, dtype, 300), whole)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("dtype", TYPES)
def test_opcheck(dtype: torch.dtype) -> None:
    weight, scales = sparse_weight(20, 33, 0.5, dtype)
    packed = ops.pack_sparse(weight, scales)
    torch.library.opcheck(torch.ops.fairopt.pack_sparse, (weight, scales))
    torch.library.opcheck(torch.ops.fairopt.unpack_sparse, (packed, dtype, 20, 33))
    x, bias = torch.randn(2, 33, requires_grad=True), torch.randn(20, requires_grad=True)
    torch.library.opcheck(torch.ops.fairopt.sparse_linear, (x, packed, bias, dtype, 20))
    torch.library.opcheck(torch.ops.fairopt.sparse_linear, (x.detach().bfloat16(), packed, None, dtype, 20))


@pytest.mark.parametrize("dtype", TYPES)
def test_gradients(dtype: torch.dtype) -> None:
    weight, scales = sparse_weight(7, 9, 0.5, dtype)
    packed = ops.pack_sparse(weight, scales)
    x = torch.randn(3, 9, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, b: ops.sparse_linear(x, packed, b, dtype, 7), (x, bias))


def test_torch_compile_sees_one_graph() -> None:
    linear = nn.Linear(40, 20)
    with torch.no_grad():
        linear.weight *= torch.rand(20, 40) < 0.5
    layer = fo.nn.SparseLinear.from_linear(linear).pack()
    x = torch.randn(3, 40)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(x), layer(x))
    assert torch.equal(torch.export.export(layer, (x,)).module()(x), layer(x))


def test_weights_that_have_no_place_are_refused() -> None:
    weight = torch.eye(8)
    weight[0, 0] = 70000
    with pytest.raises(InputError, match="weight must be within 65504 for float16 values, got 1 beyond"):
        fo.nn.SparseLinear.from_weight(weight, None, "float16")
    with pytest.raises(InputError, match=r"weight must be \[out, in\], got \[2, 8, 8\]"):
        fo.nn.SparseLinear.from_weight(torch.stack([weight, weight]), None)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p, x: ops.pack_sparse(x[0]), "pack_sparse: weight must be a matrix, got [8]"),
        (
            lambda p, x: ops.pack_sparse(x.double()),
            "pack_sparse: weight must be float32, float16, bfloat16 or int8, got float64",
        ),
        (lambda p, x: ops.pack_sparse(x, torch.ones(2)), "pack_sparse: scales must be None for floats, got the other"),
        (lambda p, x: ops.pack_sparse(x.to(torch.int8)), "pack_sparse: scales must be given for int8, got the other"),
        (
            lambda p, x: ops.sparse_linear(x[:, :7], p, None, torch.float32, 4),
            "sparse_linear: packed must be of a weight [4, 7] of float32, got another",
        ),
        (
            lambda p, x: ops.sparse_linear(x, p, torch.ones(5), torch.float32, 4),
            "sparse_linear: bias must be [4] one value a row of W, got [5]",
        ),
        (
            lambda p, x: ops.sparse_linear(x.int(), p, None, torch.float32, 4),
            "sparse_linear: x must be float32, float16 or bfloat16, got int32",
        ),
        (
            lambda p, x: ops.unpack_sparse(p, torch.float32, -1, 8),
            "unpack_sparse: rows must be non-negative, got -1",
        ),
        (
            lambda p, x: ops.unpack_sparse(p[:90], torch.float32, 4, 8),
            "unpack_sparse: packed must hold 1 tiles, got 90 bytes",
        ),
    ],
)
def test_refusals(call: Any, message: str) -> None:
    packed = ops.pack_sparse(sparse_weight(4, 8, 0.5, torch.float32)[0])
    with pytest.raises(ValueError, match=re.escape(message)):
        call(packed, torch.randn(2, 8))


def pruned_linear(dtype: torch.dtype = torch.float32, bias: bool = True) -> nn.Linear:
    """70 x 130, half of it zero."""
    torch.manual_seed(3)
    linear = nn.Linear(130, 70, bias=bias).to(dtype)
    with torch.no_grad():
        linear.weight *= (torch.rand(70, 130) < 0.5).to(dtype)
    return linear


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_layer_is_the_linear_one_to_the_bit_of_its_weight(dtype: torch.dtype) -> None:
    linear = pruned_linear(dtype)
    before = linear.weight.clone()
    layer = fo.nn.SparseLinear.from_linear(linear)
    assert torch.equal(linear.weight, before)
    for one in (layer, layer.pack(), layer.unpack()):
        back = one.to_linear(dtype)
        assert torch.equal(back.weight, linear.weight)
        assert back.bias is not None
        assert torch.equal(back.bias, linear.bias)
    nonzeros = int(torch.count_nonzero(linear.weight))
    assert layer.stored_bytes == 70 * 17 + nonzeros * dtype.itemsize
    assert sum(t.nbytes for n, t in layer.state_dict().items() if n != "bias") == layer.stored_bytes


def test_int8_rounds_rows_and_leaves_out_what_becomes_zero() -> None:
    linear = pruned_linear()
    with torch.no_grad():
        linear.weight[0, 0] = 1e-9
    layer = fo.nn.SparseLinear.from_linear(linear, "int8").pack()
    steps = linear.weight.abs().amax(1, keepdim=True) / 127
    codes = (linear.weight / steps).round()
    assert torch.equal(layer.dense_weight(), codes * steps)
    assert layer.nonzeros == int(torch.count_nonzero(codes))
    assert layer.stored_bytes == 70 * 17 + layer.nonzeros + 70 * 4


@pytest.mark.parametrize("value_type", ["float32", "bfloat16", "int8"])
def test_state_dicts_hold_bitmap_and_values(value_type: str) -> None:
    layer = fo.nn.SparseLinear.from_linear(pruned_linear(), value_type)
    rows = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    x = torch.randn(2, 130)
    y = layer.pack()(x)
    assert {name: t.tolist() for name, t in layer.state_dict().items()} == {n: t.tolist() for n, t in rows.items()}
    other = fo.nn.SparseLinear(130, 70, value_type=value_type, nonzeros=1)  # the file says how many there are
    other.load_state_dict(rows)
    assert torch.equal(other.pack()(x), y)
    assert torch.equal(copy.deepcopy(layer)(x), y)
    assert torch.equal(pickle.loads(pickle.dumps(layer))(x), y)
    cast = copy.deepcopy(layer).to(torch.bfloat16)  # the bias follows, values keep their type
    assert cast.value_type == value_type
    assert torch.equal(cast.dense_weight(), layer.dense_weight())
    assert cast(x.bfloat16()).dtype == torch.bfloat16


def test_an_unpacked_layer_multiplies_too() -> None:
    layer = fo.nn.SparseLinear.from_linear(pruned_linear())
    x = torch.randn(4, 130)
    torch.testing.assert_close(layer(x), copy.deepcopy(layer).pack()(x))


def test_modules_refuse() -> None:
    with pytest.raises(InputError, match="value_type must be one of float32, float16, bfloat16, int8, got 'int4'"):
        fo.nn.SparseLinear.from_linear(pruned_linear(), "int4")
    with pytest.raises(InputError, match="nonzeros must be between 0 and 6, got 7"):
        fo.nn.SparseLinear(2, 3, value_type="float32", nonzeros=7)
    with pytest.raises(ValueError, match="values must be as many as the 1 bits of bitmap, got 2"):
        ops.from_bitmap(torch.tensor([[1]], dtype=torch.uint8), torch.ones(2), 3)
