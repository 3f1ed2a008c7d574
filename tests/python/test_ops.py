"""The tensor operators on the CPU: values, shapes, types, refusals. torch's own contract is in test_ops_torch.py."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from quantized import DTYPES, linear_bound, normal, quantized

from fairopt import _core, ops
from fairopt.formats import FORMATS


def as_numpy(x: torch.Tensor) -> np.ndarray:
    """The array that the torch-free extension takes: bfloat16 as its bits."""
    x = x.contiguous()
    return x.view(torch.uint16).numpy() if x.dtype == torch.bfloat16 else x.numpy()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("format", FORMATS)
def test_quantize_and_dequantize_are_those_without_torch(format: str, dtype: torch.dtype) -> None:
    x = normal(3, 5, 77, dtype=dtype)
    weight = quantized(x, format, 16)
    expected = _core.quantize_blockwise(as_numpy(x), format, 16)
    for got, want in zip(weight[:3], expected, strict=True):
        np.testing.assert_array_equal(got.numpy(), want)
    name = str(dtype).removeprefix("torch.")
    values = ops.dequantize_blockwise(*weight, 77, dtype)
    assert values.dtype == dtype
    np.testing.assert_array_equal(as_numpy(values), _core.dequantize_blockwise(*expected, format, 16, 77, name))


@pytest.mark.parametrize("prune", [0, 1, 40, 105])
def test_prune_masks_are_those_without_torch(prune: int) -> None:
    score = normal(7, 15).round(decimals=1)  # ties
    np.testing.assert_array_equal(ops.prune_mask(score, prune).numpy(), _core.prune_mask(score.numpy(), prune))
    rows = normal(7, 16, dtype=torch.bfloat16)
    np.testing.assert_array_equal(
        ops.prune_mask_n_of_m(rows, 2, 4).numpy(), _core.prune_mask_n_of_m(as_numpy(rows), 2, 4)
    )


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(("m", "n", "k", "block"), [(1, 1, 1, 16), (2, 65, 33, 16), (9, 63, 300, 64)])
def test_quantized_linear_agrees_with_float64(
    format: str, dtype: torch.dtype, m: int, n: int, k: int, block: int
) -> None:
    weight = quantized(normal(n, k), format, block)
    x, bias = normal(m, k, dtype=dtype, seed=1), normal(n, dtype=dtype, seed=2)
    y = weight.linear(x, bias)
    exact = x.double() @ weight.dense(k).double().T + bias.double()
    assert y.dtype == dtype
    assert ((y.double() - exact).abs() <= linear_bound(x, weight.dense(k), bias, dtype)).all()
    y64 = weight.linear(
        x.double(), bias.double()
    )  # the same bound with u = 2^-53, and 2^-52 for the oracle's own error
    assert ((y64 - exact).abs() <= 2.0**-28 * linear_bound(x, weight.dense(k), bias, torch.float32)).all()


def test_leading_dimensions_are_rows() -> None:
    weight = quantized(normal(6, 40))
    x = normal(2, 3, 40, seed=1)
    flat = weight.linear(x.reshape(6, 40))
    assert torch.equal(weight.linear(x), flat.reshape(2, 3, 6))
    assert torch.equal(weight.linear(x[0, 0]), flat[0])


@pytest.mark.parametrize("dtype", [*DTYPES, torch.float64], ids=str)
def test_strided_inputs_give_the_same_bits_and_are_left_alone(dtype: torch.dtype) -> None:
    weight = quantized(normal(12, 64), "int4_asym")
    x, bias = normal(64, 5, dtype=dtype, seed=1).T, normal(24, dtype=dtype, seed=2)[::2]
    strided = [t.repeat_interleave(2, dim=-1)[..., ::2] for t in weight[:3]]
    inputs = [x, *strided, bias]
    assert not any(t.is_contiguous() for t in inputs)
    before = [t.clone() for t in inputs]
    y = ops.quantized_linear(x, *strided, bias, weight.format, weight.block)
    assert torch.equal(y, weight.linear(x.contiguous(), bias.contiguous()))
    assert y.is_contiguous()
    values = ops.dequantize_blockwise(*strided, weight.format, weight.block, 64)
    assert torch.equal(values, weight.dense(64))
    assert all(torch.equal(a, b) for a, b in zip(before, inputs, strict=True))


def test_strided_scores_and_weights_give_the_same_bits_and_are_left_alone() -> None:
    x = normal(48, 8).T
    before, dense = x.clone(), x.contiguous()
    results = [f(x) for f in UNARY]
    for result, expected in zip(results, [f(dense) for f in UNARY], strict=True):
        assert all(torch.equal(a, b) and a.is_contiguous() for a, b in zip(result, expected, strict=True))
    assert torch.equal(x, before)


UNARY: list[Callable[[torch.Tensor], tuple[torch.Tensor, ...]]] = [
    lambda x: ops.quantize_blockwise(x, "int4_asym", 16),
    lambda x: (ops.prune_mask(x, x.numel() // 2),),
    lambda x: (ops.prune_mask_n_of_m(x, 2, 4),),
]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("shape", [(0,), (0, 48), (3, 0), (2, 0, 48)])
def test_empty_inputs_give_empty_results(shape: tuple[int, ...], format: str) -> None:
    x = torch.empty(shape)
    weight = quantized(x, format)
    assert weight.dense(shape[-1]).shape == shape
    assert ops.prune_mask(x, 0).shape == shape
    assert ops.prune_mask_n_of_m(x, 2, 4).shape == shape
    if len(shape) == 2:
        bias = torch.arange(float(shape[0]))
        assert torch.equal(weight.linear(torch.ones(2, shape[1]), bias), bias.expand(2, -1))
        assert weight.linear(torch.empty(0, shape[1])).shape == (0, shape[0])


def test_results_are_the_same_bits_for_any_number_of_threads() -> None:
    x, w = normal(3, 2048, seed=1), normal(300, 2048)
    threads = torch.get_num_threads()
    try:
        results = []
        for count in (1, 2):
            torch.set_num_threads(count)
            weight = quantized(w, "nf4", 64)
            results.append((*weight[:3], weight.dense(2048), weight.linear(x), ops.prune_mask(w, 1000)))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


X = normal(4, 32)
CODES, SCALES, ZEROS = ops.quantize_blockwise(X, "nf4", 16)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: ops.quantize_blockwise(X, "nf5", 16),
            "quantize_blockwise: format must be one of " + ", ".join(FORMATS) + ", got 'nf5'",
        ),
        (
            lambda: ops.quantize_blockwise(X.to("meta"), "nf5", 16),
            "quantize_blockwise: format must be one of " + ", ".join(FORMATS) + ", got 'nf5'",
        ),
        (
            lambda: ops.quantize_blockwise(X, "nf4", 24),
            "quantize_blockwise: block must be a multiple of 16 in [16, 1073741824], got 24",
        ),
        (
            lambda: ops.quantize_blockwise(X.double(), "nf4", 16),
            "quantize_blockwise: x must be float32, float16 or bfloat16, got float64",
        ),
        (
            lambda: ops.quantize_blockwise(torch.tensor(1.0), "nf4", 16),
            "quantize_blockwise: x must be of at least one dimension, got a scalar",
        ),
        (
            lambda: ops.quantize_blockwise(torch.tensor([1.0, torch.nan, torch.inf]), "nf4", 16),
            "quantize_blockwise: x must be finite, got 2 NaN or infinite values",
        ),
        (
            lambda: ops.dequantize_blockwise(CODES, SCALES, ZEROS, "nf4", 16, 33),
            "dequantize_blockwise: codes must be [4, 17] for 33 columns of nf4, got [4, 16]",
        ),
        (
            lambda: ops.dequantize_blockwise(CODES, SCALES, ZEROS, "nf4", 16, -1),
            "dequantize_blockwise: cols must be at least 0, got -1",
        ),
        (
            lambda: ops.dequantize_blockwise(CODES, SCALES, ZEROS, "nf4", 32, 32),
            "dequantize_blockwise: scales must be [4, 1] for 32 columns in blocks of 32, got [4, 2]",
        ),
        (
            lambda: ops.dequantize_blockwise(CODES, SCALES, ZEROS, "nf4", 16, 32, torch.float64),
            "dequantize_blockwise: dtype must be float32, float16 or bfloat16, got float64",
        ),
        (
            lambda: ops.dequantize_blockwise(CODES.char(), SCALES, ZEROS, "nf4", 16, 32),
            "dequantize_blockwise: codes must be uint8, got int8",
        ),
        (
            lambda: ops.quantized_linear(X[:, :30], CODES, SCALES, ZEROS, None, "nf4", 16),
            "quantized_linear: codes must be [4, 15] for 30 columns of nf4, got [4, 16]",
        ),
        (
            lambda: ops.quantized_linear(X.int(), CODES, SCALES, ZEROS, None, "nf4", 16),
            "quantized_linear: x must be float32, float16 or bfloat16, got int32",
        ),
        (
            lambda: ops.quantized_linear(X, CODES[0], SCALES, ZEROS, None, "nf4", 16),
            "quantized_linear: codes must be a matrix [n, bytes], got [16]",
        ),
        (
            lambda: ops.quantized_linear(X, CODES, SCALES.double(), ZEROS, None, "nf4", 16),
            "quantized_linear: scales must be float32, got float64",
        ),
        (
            lambda: ops.quantized_linear(X, CODES, SCALES, ZEROS, None, "int4_asym", 16),
            "quantized_linear: zeros must be [4, 2] for int4_asym, got [0]",
        ),
        (
            lambda: ops.quantized_linear(X, CODES, SCALES, ZEROS, X[0, :3], "nf4", 16),
            "quantized_linear: bias must be [4], one value a row of codes, got [3]",
        ),
        (
            lambda: ops.quantized_linear(X, CODES, SCALES, ZEROS, X[0, :4].half(), "nf4", 16),
            "quantized_linear: bias must be float32 like x, got float16",
        ),
        (lambda: ops.prune_mask(X, 129), "prune_mask: prune must be between 0 and the 128 values of score, got 129"),
        (lambda: ops.prune_mask(X, -1), "prune_mask: prune must be between 0 and the 128 values of score, got -1"),
        (
            lambda: ops.prune_mask(torch.tensor([1.0, torch.nan]), 1),
            "prune_mask: score must be finite, got 1 NaN or infinite values",
        ),
        (
            lambda: ops.prune_mask_n_of_m(torch.tensor([1.0, torch.inf]), 1, 2),
            "prune_mask_n_of_m: score must be finite, got 1 NaN or infinite values",
        ),
        (
            lambda: ops.prune_mask(X.long(), 1),
            "prune_mask: score must be float32, float16 or bfloat16, got int64",
        ),
        (
            lambda: ops.prune_mask_n_of_m(X, 2, 5),
            "prune_mask_n_of_m: score must be of a multiple of m = 5 columns, got 32",
        ),
        (lambda: ops.prune_mask_n_of_m(X, 5, 4), "prune_mask_n_of_m: n must be between 1 and m = 4, got 5"),
        (lambda: ops.prune_mask_n_of_m(X, 2, 2**40), f"prune_mask_n_of_m: m must be between 1 and 32, got {2**40}"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refusals(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()
