"""QuantizedLinear: what it stores is the definition, bit for bit, and it behaves as a module should."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
import weight_formats
from random_models import llama
from torch import nn
from torch.nn import functional as F
from transformers import StaticCache

import fairopt as fo
from fairopt.errors import InputError
from fairopt.nn import QuantizedLinear

FORMATS = weight_formats.FORMATS


def linear(
    k: int = 128, n: int = 24, bias: bool = True, dtype: torch.dtype = torch.float32, seed: int = 0
) -> nn.Linear:
    layer = nn.Linear(k, n, bias=bias, dtype=dtype)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
        layer.weight[0] = 0  # a row of empty blocks
        layer.weight[1].abs_()  # one-signed rows: where symmetric and asymmetric formats differ most
        layer.weight[2].abs_().neg_()
    return layer


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize(("k", "block"), [(128, 64), (128, 16), (100, 64), (33, 32), (1, 16)])
@pytest.mark.parametrize("format", FORMATS)
def test_codes_and_weights_equal_the_definition(format: str, k: int, block: int, dtype: torch.dtype) -> None:
    dense = linear(k, dtype=dtype)
    layer = QuantizedLinear.from_linear(dense, format, block, pad=True)
    codes, scales, zeros = weight_formats.stored(dense.weight.detach(), format, block)
    empty = scales == 0  # codes of an empty block mean nothing: each peer writes another
    assert torch.equal(layer.scales, scales)
    assert torch.equal(layer.zeros, zeros)
    assert torch.equal(layer.codes[~empty.any(dim=1)], codes[~empty.any(dim=1)])
    assert torch.equal(layer.dense_weight(), weight_formats.fake_quantize(dense.weight.detach(), format, block))


@pytest.mark.parametrize("format", ["nf4", "fp4"])
def test_agrees_with_bitsandbytes(format: str) -> None:
    bitsandbytes = pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
    dense = linear(256, 32)
    theirs, state = bitsandbytes.functional.quantize_4bit(
        dense.weight.detach(), blocksize=64, quant_type=format, compress_statistics=False
    )
    expected = bitsandbytes.functional.dequantize_4bit(theirs, state)
    torch.testing.assert_close(
        QuantizedLinear.from_linear(dense, format, 64).dense_weight(), expected, rtol=1e-6, atol=0
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("format", FORMATS)
def test_forward_is_the_product_with_the_dequantised_weight(format: str, dtype: torch.dtype) -> None:
    layer = QuantizedLinear.from_linear(linear(100, 24, dtype=dtype), format, 32, pad=True)
    x = torch.randn(2, 3, 100, generator=torch.Generator().manual_seed(1)).to(dtype)
    weight, bias = layer.dense_weight().double(), layer.bias.double()
    y = layer(x)
    # Any order of K + 1 fp32 sums of products errs by at most (K + 1) 2^-23 times the sum of magnitudes (Higham 2002,
    # 3.5, with the rounding of the products in); the result is rounded once more to the type of x.
    magnitude = F.linear(x.double().abs(), weight.abs(), bias.abs())
    exact = F.linear(x.double(), weight, bias)
    bound = 101 * 2**-23 * magnitude + torch.finfo(dtype).eps * exact.abs()
    assert y.dtype == dtype
    assert y.shape == (2, 3, 24)
    assert ((y.double() - exact).abs() <= bound).all()


def test_gradients_reach_activations_and_bias() -> None:
    layer = QuantizedLinear.from_linear(linear(), "nf4", 64)
    x = torch.randn(5, 128, requires_grad=True)
    layer(x).sum().backward()
    torch.testing.assert_close(x.grad, layer.dense_weight().sum(0).expand(5, -1))
    torch.testing.assert_close(layer.bias.grad, torch.full((24,), 5.0))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("format", FORMATS)
def test_state_dict_round_trip(format: str, bias: bool) -> None:
    layer = QuantizedLinear.from_linear(linear(100, bias=bias), format, 32, pad=True)
    other = QuantizedLinear(100, 24, bias, format=format, block=32)
    assert set(layer.state_dict()) == {"codes", "scales", "zeros"} | ({"bias"} if bias else set())
    assert not other.load_state_dict(layer.state_dict(), strict=True).missing_keys
    x = torch.randn(3, 100)
    assert torch.equal(layer(x), other(x))


@pytest.mark.parametrize(
    "cast",
    [
        lambda m: m.to(torch.bfloat16),
        lambda m: m.half(),
        lambda m: m.double(),
        lambda m: m.type(torch.float16),
        lambda m: m.to("meta"),
        lambda m: m.to_empty(device="cpu"),
    ],
    ids=["to", "half", "double", "type", "meta", "to_empty"],
)
def test_casts_reach_the_bias_but_never_the_codes(cast) -> None:
    layer = QuantizedLinear.from_linear(linear(), "int4_asym", 64)
    scales = layer.scales.clone()
    cast(layer)
    assert (layer.codes.dtype, layer.scales.dtype, layer.zeros.dtype) == (torch.uint8, torch.float32, torch.uint8)
    assert layer.codes.device == layer.scales.device == layer.bias.device
    if layer.bias.dtype != torch.float32:
        assert torch.equal(layer.scales, scales)


def test_deepcopy_is_independent() -> None:
    layer = QuantizedLinear.from_linear(linear(), "nf4", 64)
    twin = copy.deepcopy(layer)
    twin.codes.zero_()
    assert layer.codes.any()
    assert str(twin) == str(layer)


def test_from_linear_does_not_touch_its_input() -> None:
    dense = linear()
    before = copy.deepcopy(dense.state_dict())
    layer = QuantizedLinear.from_linear(dense, "int8", 64)
    layer.bias.detach().zero_()
    assert all(torch.equal(before[name], tensor) for name, tensor in dense.state_dict().items())


def test_to_linear_is_the_dense_layer_of_the_same_weights() -> None:
    layer = QuantizedLinear.from_linear(linear(), "nf4", 64)
    dense = layer.to_linear(torch.bfloat16)
    assert type(dense) is nn.Linear
    assert torch.equal(dense.weight, layer.dense_weight().bfloat16())
    assert torch.equal(dense.bias, layer.bias.bfloat16())
    assert layer.to_linear().bias.data_ptr() != layer.bias.data_ptr()
    assert QuantizedLinear.from_linear(linear(bias=False), "nf4", 64).to_linear().bias is None


@pytest.mark.parametrize(
    ("format", "bits"),
    [("nf4", 4 + 32 / 64), ("fp4", 4.5), ("int8", 8 + 32 / 64), ("int4_sym", 4.5), ("int4_asym", 4 + 40 / 64)],
)
def test_bits_per_weight_are_counted_from_what_is_stored(format: str, bits: float) -> None:
    layer = QuantizedLinear.from_linear(linear(), format, 64)
    assert layer.bits_per_weight == bits
    assert layer.extra_repr() == (
        f"in_features=128, out_features=24, bias=True, format={format}, block=64, bits_per_weight={bits:g}"
    )


def test_compiles_without_graph_breaks() -> None:
    layer = QuantizedLinear.from_linear(linear(), "int4_sym", 64)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    x = torch.randn(4, 128)
    assert torch.equal(compiled(x), layer(x))


@torch.no_grad()
def test_a_step_of_decoding_is_one_graph_for_every_position() -> None:
    model = fo.compress(llama(), "int4:g=32").eval()
    prompt, tokens = torch.arange(1, 6)[None], (7, 8, 9)

    def decode(step: Callable[..., Any]) -> torch.Tensor:
        cache = StaticCache(config=model.config, max_cache_len=16)
        model(prompt, past_key_values=cache)
        logits = [
            step(torch.tensor([[token]]), past_key_values=cache, position_ids=torch.tensor([[5 + i]])).logits
            for i, token in enumerate(tokens)
        ]
        return torch.cat(logits)

    torch._dynamo.reset()  # what other tests compiled of the same functions would count as a first time
    with torch._dynamo.config.patch(error_on_recompile=True):
        compiled = decode(torch.compile(model, fullgraph=True, backend="aot_eager"))
    # what is compiled rounds in another order: some tens of times by 2^-24, of values of order 1
    torch.testing.assert_close(compiled, decode(model), rtol=2**-16, atol=2**-16)


def test_a_block_that_does_not_divide_needs_pad() -> None:
    with pytest.raises(InputError, match="block must divide in_features = 100 unless pad is set, got 64"):
        QuantizedLinear.from_linear(linear(100), "nf4", 64)
