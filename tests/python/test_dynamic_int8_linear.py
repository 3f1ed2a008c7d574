"""W8A8 and LLM.int8: the op against its definition in NumPy and against torch, torchao's formula and bitsandbytes."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from fairopt import ops
from fairopt.errors import InputError
from fairopt.nn import DynamicInt8Linear, LlmInt8Linear

DTYPES = (torch.float32, torch.float16, torch.bfloat16)
OP = torch.ops.fairopt.dynamic_int8_linear.default


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def with_outliers(*shape: int, seed: int = 0) -> torch.Tensor:
    x = normal(*shape, seed=seed)
    x[..., 3] *= 20
    x.view(-1)[::41] *= 9
    return x


def twin(x: np.ndarray, codes: np.ndarray, scales: np.ndarray, bias: Any, threshold: float = math.inf) -> np.ndarray:
    """The definition, one operation a line, on [m, k] fp32."""
    large = ~(np.abs(x) < threshold)
    small = np.where(large, np.float32(0), x)
    step = (np.abs(small).max(-1, keepdims=True, initial=0) / np.float32(127)).astype(np.float32)
    steps = np.divide(small, step, where=step > 0, out=np.zeros_like(small))
    q = np.clip(np.rint(steps), -127, 127).astype(np.int64)
    y = (scales[None, :] * step) * (q @ codes.T.astype(np.int64)).astype(np.float32)
    for t, row in enumerate(large):
        total = np.zeros(len(codes), np.float32)
        for j in np.flatnonzero(row):
            total = total + x[t, j] * codes[:, j].astype(np.float32)
        if row.any():
            y[t] = y[t] + scales * total
    return y if bias is None else y + bias


def operands(k: int, n: int = 5) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    codes = torch.randint(-127, 128, (n, k), generator=torch.Generator().manual_seed(k), dtype=torch.int8)
    return codes, normal(n, seed=1).abs() / 100, normal(n, seed=2)


@settings(max_examples=50)
@given(
    m=st.integers(0, 9), k=st.integers(0, 150), threshold=st.sampled_from([math.inf, 2.0, 0.5]), biased=st.booleans()
)
def test_the_bits_are_those_of_the_definition(m: int, k: int, threshold: float, biased: bool) -> None:
    x, (codes, scales, bias) = normal(m, k, seed=k) * 2, operands(k)
    y = ops.dynamic_int8_linear(x, codes, scales, bias if biased else None, threshold)
    expected = twin(x.numpy(), codes.numpy(), scales.numpy(), bias.numpy() if biased else None, threshold)
    np.testing.assert_array_equal(y.numpy(), expected)


@pytest.mark.parametrize("threshold", [math.inf, 3.0])
def test_a_token_gives_the_same_bits_alone_and_in_any_batch_and_number_of_threads(threshold: float) -> None:
    x, (codes, scales, bias) = with_outliers(150, 200), operands(200, 37)
    together = ops.dynamic_int8_linear(x, codes, scales, bias, threshold)
    alone = torch.cat([ops.dynamic_int8_linear(row[None], codes, scales, bias, threshold) for row in x])
    assert torch.equal(together, alone)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        assert torch.equal(ops.dynamic_int8_linear(x, codes, scales, bias, threshold), together)
    finally:
        torch.set_num_threads(threads)


def test_it_is_dynamic_per_token_quantisation_as_others_write_it() -> None:
    """torchao's ``Int8DynamicActivationInt8WeightConfig`` in torch's own functions, products by ``torch._int_mm``."""
    x, linear = normal(32, 96), nn.Linear(96, 24)
    layer = DynamicInt8Linear.from_linear(linear)
    weight = linear.weight.detach()
    w_scale = weight.abs().amax(1) / 127
    w_codes = (weight / w_scale[:, None]).round().clamp(-127, 127).to(torch.int8)
    x_scale = x.abs().amax(1, keepdim=True) / 127
    x_codes = (x / x_scale).round().clamp(-127, 127).to(torch.int8)
    assert torch.equal(layer.codes, w_codes)
    assert torch.equal(layer.scales, w_scale)
    expected = torch._int_mm(x_codes, w_codes.T).float() * (x_scale * w_scale) + linear.bias.detach()
    assert torch.equal(layer(x).detach(), expected)
    # torch's own int8 weights without rounding of x: the same product but for that rounding.
    product = torch._weight_int8pack_mm(x, w_codes, w_scale) + linear.bias.detach()
    # Each x is off by half a step, each product by that times |w|.
    bound = x_scale / 2 * layer.dense_weight().abs().sum(1) * (1 + 2**-12)
    assert bool(((layer(x).detach() - product).abs() <= bound).all())


def test_it_is_as_close_to_the_dense_layer_as_torchs_dynamic_quantisation() -> None:
    """torch rounds activations with one scale for the whole batch, so ours, one a token, must not be further off."""
    x, linear = normal(64, 256) * torch.logspace(-1, 1, 64)[:, None], nn.Linear(256, 64)
    with torch.no_grad():
        dense = linear(x)
        theirs = torch.ao.nn.quantized.dynamic.Linear.from_float(prepared(linear))(x)
        ours = DynamicInt8Linear.from_linear(linear)(x)
    assert float((ours - dense).square().mean()) < float((theirs - dense).square().mean())


def prepared(linear: nn.Linear) -> nn.Linear:
    found = copy.deepcopy(linear)
    found.qconfig = torch.ao.quantization.default_dynamic_qconfig
    return found


# ---- LLM.int8 ----


def bitsandbytes_layer(linear: nn.Linear, threshold: float) -> Any:
    import bitsandbytes as bnb

    layer = bnb.nn.Linear8bitLt(
        linear.in_features, linear.out_features, bias=True, has_fp16_weights=False, threshold=threshold
    )
    layer.load_state_dict(linear.half().state_dict())
    return layer.to("cpu").eval()


@pytest.mark.parametrize("threshold", [6.0, 2.5])
def test_llm_int8_is_that_of_bitsandbytes(threshold: float) -> None:
    torch.manual_seed(0)
    linear = nn.Linear(128, 48).half()
    x = with_outliers(24, 128).half()
    theirs = bitsandbytes_layer(copy.deepcopy(linear), threshold)
    ours = LlmInt8Linear.from_linear(linear, threshold=threshold)
    with torch.no_grad():
        got = ours(x)
        expected = torch.cat([theirs(row[None]) for row in x])  # one token at a time: there a batch shares its columns
    state = theirs.state_dict()
    assert torch.equal(state["weight"], ours.codes)
    torch.testing.assert_close(state["SCB"].float() / 127, ours.scales, rtol=2**-23, atol=0)
    large = x.abs() >= threshold
    assert 0 < large.sum() < x.numel() / 4
    # bitsandbytes rounds to fp16 (u = 2^-11) the int8 part with the bias, the dequantised weights of the large values,
    # and the sum; we the sum alone. Each is at most twice the sum of magnitudes. It multiplies by 127 / amax where we
    # divide by amax / 127: a code may differ by one where a value lies within 2^-22 of a tie, which these do not.
    magnitude = x.abs().float() @ ours.dense_weight().abs().T + linear.bias.detach().abs().float()
    assert bool(((got.float() - expected.float()).abs() <= 4 * 2**-11 * magnitude).all())
    without = DynamicInt8Linear.from_linear(linear)(x).detach()
    dense = x.float() @ linear.weight.detach().float().T + linear.bias.detach().float()
    assert float((got.detach() - dense).square().mean()) < float((without - dense).square().mean()) / 4


def test_a_batch_of_bitsandbytes_shares_its_outlier_columns_and_ours_does_not() -> None:
    torch.manual_seed(0)
    linear = nn.Linear(64, 16).half()
    x = normal(2, 64).half()
    x[1, 5] = 30  # far above the threshold, in the second token only
    theirs, ours = bitsandbytes_layer(copy.deepcopy(linear), 6.0), LlmInt8Linear.from_linear(linear)
    with torch.no_grad():
        assert not torch.equal(theirs(x)[0], theirs(x[:1])[0])
        assert torch.equal(ours(x)[0], ours(x[:1])[0])


def test_without_large_values_llm_int8_is_w8a8() -> None:
    linear, x = nn.Linear(64, 8), normal(5, 64)
    assert torch.equal(LlmInt8Linear.from_linear(linear)(x), DynamicInt8Linear.from_linear(linear)(x))


# ---- the operator's contract ----


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_opcheck(dtype: torch.dtype) -> None:
    codes, scales, bias = operands(48)
    x = normal(2, 3, 48, dtype=dtype).requires_grad_()
    torch.library.opcheck(OP, (x, codes, scales, bias.to(dtype).requires_grad_(), 6.0))
    torch.library.opcheck(OP, (normal(48, 7, dtype=dtype).T, codes, scales, None, math.inf))


@pytest.mark.parametrize("dtype", DTYPES[1:], ids=str)
def test_16_bit_types_are_rounded_once(dtype: torch.dtype) -> None:
    codes, scales, bias = operands(48)
    x = normal(2, 48, dtype=dtype)
    y = ops.dynamic_int8_linear(x, codes, scales, bias.to(dtype))
    assert torch.equal(y, ops.dynamic_int8_linear(x.float(), codes, scales, bias.to(dtype).float()).to(dtype))


@pytest.mark.parametrize("threshold", [math.inf, 2.0])
def test_gradients_are_those_of_the_product_with_the_dequantised_weight(threshold: float) -> None:
    codes, scales, bias = operands(48)
    x, bias = normal(2, 3, 48).requires_grad_(), bias.requires_grad_()
    grad_y = normal(2, 3, 5, seed=9)
    got = torch.autograd.grad(ops.dynamic_int8_linear(x, codes, scales, bias, threshold), (x, bias), grad_y)
    dense = nn.functional.linear(x, codes * scales[:, None], bias)
    for a, b in zip(got, torch.autograd.grad(dense, (x, bias), grad_y), strict=True):
        torch.testing.assert_close(a, b)


def test_edges() -> None:
    codes, scales, bias = operands(33)
    x = normal(3, 33)
    x[0] = 0
    x[1, 7] = float("nan")
    y = ops.dynamic_int8_linear(x, codes, scales, bias)
    assert torch.equal(y[0], bias)
    assert torch.isnan(y[1]).all()
    assert torch.isfinite(y[2]).all()
    assert torch.equal(ops.dynamic_int8_linear(x.T.contiguous().T, codes, scales, bias)[2], y[2])
    assert ops.dynamic_int8_linear(x[:0], codes, scales, bias).shape == (0, 5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": torch.ones(2, 16, dtype=torch.float64)}, "x must be float32, float16 or bfloat16, got float64"),
        ({"x": torch.tensor(1.0)}, "x must be of at least one dimension, got a scalar"),
        ({"codes": torch.ones(3, 16)}, "codes must be int8, got float32"),
        ({"codes": torch.ones(3, 15, dtype=torch.int8)}, r"codes must be \[n, 16\] for x, got \[3, 15\]"),
        ({"scales": torch.ones(4)}, r"scales must be \[3\] for the rows of codes, got \[4\]"),
        ({"bias": torch.ones(3).half()}, "bias must be float32, got float16"),
        ({"bias": torch.ones(4)}, r"bias must be \[3\] for the rows of codes, got \[4\]"),
        ({"threshold": 0.0}, "threshold must be positive, got 0"),
        ({"threshold": math.nan}, "threshold must be positive, got nan"),
    ],
)
def test_refusals(change: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {
        "x": torch.ones(2, 16), "codes": torch.ones(3, 16, dtype=torch.int8), "scales": torch.ones(3),
        "bias": torch.ones(3), "threshold": 6.0,
    }  # fmt: skip
    with pytest.raises(ValueError, match=f"^dynamic_int8_linear: {message}"):
        ops.dynamic_int8_linear(**{**good, **change})


# ---- the modules ----


@pytest.mark.parametrize("make", [DynamicInt8Linear, LlmInt8Linear])
class TestModules:
    def test_state_dict_copies_and_types(self, make: Any) -> None:
        layer = make.from_linear(nn.Linear(40, 6))
        x = with_outliers(3, 40)
        again = make(40, 6)
        again.load_state_dict(layer.state_dict(), strict=True)
        assert torch.equal(again(x), layer(x))
        assert torch.equal(copy.deepcopy(layer)(x), layer(x))
        half = copy.deepcopy(layer).bfloat16()
        assert (half.codes.dtype, half.scales.dtype, half.bias.dtype) == (torch.int8, torch.float32, torch.bfloat16)
        assert torch.equal(half.scales, layer.scales)
        assert half(x.bfloat16()).dtype == torch.bfloat16

    def test_compile_and_export(self, make: Any) -> None:
        layer = make.from_linear(nn.Linear(40, 6))
        compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
        for rows in (2, 5):
            x = with_outliers(rows, 40)
            assert torch.equal(compiled(x), layer(x))
        x = with_outliers(2, 40)
        assert torch.equal(torch.export.export(layer, (x,)).module()(x), layer(x))

    def test_back_to_a_dense_layer(self, make: Any) -> None:
        linear = nn.Linear(40, 6)
        layer = make.from_linear(linear)
        assert layer.bits_per_weight == 8 + 32 / 40
        dense = layer.to_linear()
        assert bool(((dense.weight - linear.weight).abs() <= layer.scales[:, None] * 0.5001).all())
        assert torch.equal(dense.bias, linear.bias)

    def test_the_input_is_trained_through_it(self, make: Any) -> None:
        layer = make.from_linear(nn.Linear(40, 6))
        x = normal(4, 40).requires_grad_()
        layer(x).square().sum().backward()
        assert x.grad is not None
        assert layer.bias.grad is not None


def test_a_threshold_must_be_positive() -> None:
    with pytest.raises(InputError, match="LlmInt8Linear: threshold must be positive, got 0"):
        LlmInt8Linear(16, 4, threshold=0)
