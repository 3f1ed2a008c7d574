"""A linear layer in several precisions: the sum of its parts, states, gradients, refusals."""

from __future__ import annotations

import copy

import pytest
import torch
from quantized import DTYPES, linear_bound, normal

from fairopt.errors import InputError
from fairopt.nn import ColumnSplitLinear

K, N = 100, 7
OUTLIERS = torch.tensor([3, 99, 50, 7])
OTHERS = torch.tensor([i for i in range(K) if i not in OUTLIERS])
PARTS = [(OUTLIERS, None, None), (OTHERS[:64], "int4_sym", 32), (OTHERS[64:], "int8", None)]


def layer(dtype: torch.dtype = torch.float32, bias: bool = True) -> ColumnSplitLinear:
    weight = normal(N, K, dtype=dtype, seed=1)
    return ColumnSplitLinear.from_weight(weight, normal(N, dtype=dtype, seed=2) if bias else None, PARTS)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_it_is_the_sum_of_its_parts(dtype: torch.dtype, bias: bool) -> None:
    split = layer(dtype, bias)
    x = normal(2, 3, K, dtype=dtype, seed=3)
    y = split(x)
    assert (y.shape, y.dtype) == ((2, 3, N), dtype)
    weight = split.dense_weight()
    exact = x.double() @ weight.double().T + (0 if split.bias is None else split.bias.double())
    # Each part is rounded to the type of x, and so is each of the three sums: five times the bound of one product.
    assert ((y.double() - exact).abs() <= 5 * linear_bound(x, weight, split.bias, dtype)).all()


def test_dense_columns_are_kept_and_the_others_are_near() -> None:
    weight = normal(N, K, seed=1)
    dense = layer().dense_weight()
    assert torch.equal(dense[:, OUTLIERS], weight[:, OUTLIERS])
    assert (dense - weight).abs().max() <= weight.abs().max() / 7.5 / 2 * 1.001


def test_one_dense_part_is_the_layer_itself() -> None:
    weight, x = normal(N, K, seed=1), normal(5, K)
    split = ColumnSplitLinear.from_weight(weight, None, [(torch.arange(K), None, None)])
    assert torch.equal(split(x), torch.nn.functional.linear(x, weight))


def test_state_dict_is_strict_and_makes_the_same_layer() -> None:
    split, x = layer(), normal(5, K)
    empty = ColumnSplitLinear(K, N, **split.options())
    empty.load_state_dict(split.state_dict(), strict=True)
    assert torch.equal(empty(x), split(x))
    assert torch.equal(copy.deepcopy(split)(x), split(x))


def test_gradients_reach_x_bias_and_dense_columns_and_compile_sees_one_graph() -> None:
    weight, bias = (torch.nn.Parameter(t) for t in (normal(N, K, seed=1), normal(N, seed=2)))
    split, x = ColumnSplitLinear.from_weight(weight, bias, PARTS), normal(5, K).requires_grad_()
    split(x).sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, split.dense_weight().detach().sum(0).expand(5, -1))
    gradients = {name: p.grad for name, p in split.named_parameters()}
    assert gradients.keys() == {"bias", "parts.0.weight"}
    assert torch.equal(gradients["bias"], torch.full((N,), 5.0))
    torch.testing.assert_close(gradients["parts.0.weight"], x.detach()[:, OUTLIERS].sum(0).expand(N, -1))
    assert torch.equal(torch.compile(split, fullgraph=True, backend="aot_eager")(x), split(x))


def test_bits_count_every_part_and_the_columns() -> None:
    split = layer()
    stored = N * 4 * 4 + N * (32 + 8) + N * (32 + 4) + 8 * K
    assert split.stored_bytes == stored
    assert split.bits_per_weight == 8 * stored / (N * K)
    in_file = sum(t.numel() * t.element_size() for name, t in split.state_dict().items() if name != "bias")
    assert in_file == stored


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([(torch.arange(99), "nf4", None)], "must name each of the 100 columns once, got 99 columns, 99 of them"),
        ([(torch.zeros(K, dtype=torch.int64), "nf4", None)], "once, got 100 columns, 1 of them different"),
        ([(torch.arange(1, K + 1), "nf4", None)], "must name each of the 100 columns once"),
        ([], "must name each of the 100 columns once, got 0 columns"),
        ([(torch.arange(K), "nf4", 64)], "block must divide in_features = 100 unless pad is set, got 64"),
        ([(torch.arange(K), None, None), (torch.arange(0), "nf4", None)], "parts must have 100 columns together"),
    ],
)
def test_refusals(parts, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ColumnSplitLinear.from_weight(normal(N, K), None, parts)
