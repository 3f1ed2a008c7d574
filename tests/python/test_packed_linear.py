"""packed_linear: an inverse pair, the error of each mode, the same bits whatever the batch, gradients, refusals."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from quantized import DTYPES, Weight, linear_bound, normal, quantized

from fairopt import ops
from fairopt.formats import FORMATS
from fairopt.nn import QuantizedLinear

OPS = torch.ops.fairopt
MODES = [(format, mode) for format in FORMATS for mode in ops.matmul_modes(format)]


def pack(weight: Weight, cols: int) -> torch.Tensor:
    return ops.pack_weight(*weight, cols)


def magnitude(weight: Weight, cols: int) -> torch.Tensor:
    """What the products of fp32 may sum. Those of a block meet two roundings more, of the chain times the scale; zero
    points add a term as large as the product of all codes."""
    dense = weight.dense(cols).abs()
    return 2 * dense.amax(-1, keepdim=True).expand_as(dense) + dense


@given(
    st.sampled_from(FORMATS),
    st.integers(1, 140),  # rows: tiles have 64
    st.integers(1, 90),  # columns: octets have 8
    st.sampled_from([16, 32, 48, 128]),
    st.integers(0, 2**32 - 1),
)
def test_unpack_is_the_inverse(format: str, rows: int, cols: int, block: int, seed: int) -> None:
    weight = quantized(normal(rows, cols, seed=seed), format, block)
    packed = pack(weight, cols)
    for got, want in zip(ops.unpack_weight(packed, format, block, rows, cols), weight[:3], strict=True):
        assert got.dtype == want.dtype
        assert torch.equal(got, want)
    x = normal(2, cols, seed=seed)
    y = ops.packed_linear(x, packed, None, format, block, rows, "exact")
    exact = x.double() @ weight.dense(cols).double().T
    assert ((y.double() - exact).abs() <= 2 * linear_bound(x, magnitude(weight, cols), None, torch.float32)).all()


@pytest.mark.parametrize("bits", [2, 3, 5, 6])
def test_narrow_codes_are_wide_in_memory_alone(bits: int) -> None:
    linear = torch.nn.Linear(256, 128, bias=False)
    layer = QuantizedLinear.from_linear(linear, f"int{bits}_asym", 128)
    rows = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    stored = 256 * 128 // 8 * bits + 2 * 128 * (4 + 1)
    assert layer.resident_bytes == layer.stored_bytes == stored
    dense = layer.dense_weight()
    packed = copy.deepcopy(layer).pack()
    assert packed.stored_bytes == stored
    assert packed.resident_bytes == 256 * 128 // 8 * (4 if bits < 4 else 8) + 2 * 128 * (4 + 1)
    for same in (packed, copy.deepcopy(packed)):
        assert torch.equal(same.dense_weight(), dense)
        assert same.state_dict().keys() == rows.keys()
        assert all(torch.equal(tensor, rows[name]) for name, tensor in same.state_dict().items())
    other = QuantizedLinear.from_linear(torch.nn.Linear(256, 128, bias=False), f"int{bits}_asym", 128).pack()
    other.load_state_dict(packed.state_dict())
    x = normal(3, 256)
    assert torch.equal(other(x), packed(x))
    assert torch.equal(packed.unpack().codes, rows["codes"])


def test_fp8_packs_its_nan() -> None:
    codes = torch.arange(256, dtype=torch.uint8).repeat(2, 1)
    weight = Weight(codes, torch.ones(2, 8), torch.empty(0, dtype=torch.uint8), "fp8", 32)
    packed = ops.pack_weight(*weight, 256)
    assert torch.equal(ops.unpack_weight(packed, "fp8", 32, 2, 256)[0], codes)
    values = ops.packed_linear(torch.eye(256)[:127], packed, None, "fp8", 32, 2, "exact")[:, 0]
    assert values.isnan().all()  # 0 * NaN, of the two columns that hold one
    codes[codes & 0x7F == 0x7F] = 0
    values = ops.packed_linear(torch.eye(256), ops.pack_weight(*weight, 256), None, "fp8", 32, 2, "exact")[:, 0]
    assert torch.equal(values, codes[0].view(torch.float8_e4m3fn).float())


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_exact_is_within_the_bound_of_fp32(format: str, dtype: torch.dtype) -> None:
    weight = quantized(normal(70, 133), format, 32)
    x, bias = normal(3, 2, 133, dtype=dtype), normal(70, dtype=dtype)
    y = ops.packed_linear(x, pack(weight, 133), bias, format, 32, 70, "exact")
    exact = torch.nn.functional.linear(x.double(), weight.dense(133).double(), bias.double())
    assert y.dtype == dtype
    assert ((y.double() - exact).abs() <= 2 * linear_bound(x, magnitude(weight, 133), bias, dtype)).all()


@pytest.mark.parametrize(("format", "mode"), MODES)
def test_a_row_is_the_same_bits_in_every_batch(format: str, mode: str) -> None:
    packed, x = pack(quantized(normal(70, 133), format, 32), 133), normal(70, 133)
    alone = torch.cat([ops.packed_linear(row[None], packed, None, format, 32, 70, mode) for row in x])
    for m in (2, 3, 5, 8, 70):
        assert torch.equal(ops.packed_linear(x[-m:], packed, None, format, 32, 70, mode), alone[-m:])


@pytest.mark.parametrize("format", FORMATS)
def test_exact_products_of_bf16_are_those_of_the_same_values_in_fp32(format: str) -> None:
    packed, x = pack(quantized(normal(70, 133), format, 32), 133), normal(9, 133, dtype=torch.bfloat16)
    y = ops.packed_linear(x.float(), packed, None, format, 32, 70, "exact")
    assert torch.equal(ops.packed_linear(x, packed, None, format, 32, 70, "exact"), y.bfloat16())


def test_a_layer_takes_the_default_of_the_type_of_x_unless_a_mode_is_set() -> None:
    layer = QuantizedLinear.from_weight(normal(8, 32), None, "int4_sym", 32)
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        assert layer.mode_for(dtype) == ops.default_matmul_mode("int4_sym", dtype)
    assert ops.default_matmul_mode("int4_sym", torch.bfloat16) in (layer.mode, "exact")
    assert ops.default_matmul_mode("nf4", torch.bfloat16) == "exact"
    layer.mode = "a8"
    assert layer.mode_for(torch.bfloat16) == layer.mode == "a8"


@pytest.mark.parametrize(
    ("format", "mode"),
    [
        ("int8", "a8"),
        ("int4_asym", "a24"),
        ("nf4", "i16"),
        ("int3_asym", "a16"),
        ("int6_asym_float", "a24"),
        ("fp8", "exact"),
    ],
)
def test_opcheck(format: str, mode: str) -> None:
    weight = quantized(normal(6, 35), format, 16)
    torch.library.opcheck(OPS.pack_weight.default, (*weight, 35))
    torch.library.opcheck(OPS.unpack_weight.default, (pack(weight, 35), format, 16, 6, 35))
    x, bias, z, b = (normal(*s).requires_grad_() for s in ((2, 3, 35), (6,), (2, 3, 4), (6, 4)))
    torch.library.opcheck(OPS.packed_linear.default, (x, pack(weight, 35), bias, format, 16, 6, mode, z, b))
    torch.library.opcheck(OPS.packed_linear.default, (x[0, 0].half(), pack(weight, 35), None, format, 16, 6, mode))


@pytest.mark.parametrize("format", FORMATS)
def test_gradients(format: str) -> None:
    weight = quantized(normal(3, 17), format, 16)
    packed = pack(weight, 17)
    x, bias, z, b = (normal(*s).double().requires_grad_() for s in ((2, 1, 17), (3,), (2, 1, 2), (3, 2)))

    def product(*inputs: torch.Tensor) -> torch.Tensor:
        x, bias, z, b = inputs
        return ops.packed_linear(x, packed, bias, format, 16, 3, ops.matmul_modes(format)[-1], z, b)

    assert torch.autograd.gradcheck(product, (x, bias, z, b))
    dense = torch.nn.functional.linear(x, weight.dense(17).double(), bias) + z @ b.T
    torch.testing.assert_close(product(x, bias, z, b), dense, rtol=2**-45, atol=2**-45)


def test_lora_is_added() -> None:
    packed, x = pack(quantized(normal(70, 32)), 32), normal(4, 32)
    z, b = normal(4, 8, seed=1), normal(70, 8, seed=2)
    plain, bias = ops.packed_linear(x, packed, None, "nf4", 32, 70, "exact"), normal(70, seed=3)
    y = ops.packed_linear(x, packed, bias, "nf4", 32, 70, "exact", z, b)
    torch.testing.assert_close(y, plain + bias + z @ b.T, rtol=2**-18, atol=2**-18)  # 10 roundings of order 1


def test_refusals() -> None:
    weight = quantized(normal(6, 32))
    packed, x = pack(weight, 32), normal(2, 32)

    def refused(match: str, **changes: object) -> None:
        arguments: dict[str, object] = {
            "x": x, "packed": packed, "bias": None, "format": "nf4", "block": 32, "rows": 6, "mode": "exact",
        }  # fmt: skip
        with pytest.raises(ValueError, match=match):
            ops.packed_linear(**(arguments | changes))  # type: ignore[arg-type]

    refused(r"packed_linear: mode must be one of exact, i16 for nf4, got a24", mode="a24")
    refused(r"packed_linear: mode must be one of exact, a8, a16, a24, i16, got 'a4'", mode="a4")
    refused(r"packed_linear: packed must be \[1280\] for these rows and columns, got \[4\]", packed=packed[:4])
    refused(r"packed_linear: packed must be uint8, got float32", packed=packed.float())
    refused(r"packed_linear: bias must be \[6\] one value a row of W, got \[5\]", bias=normal(5))
    refused(r"packed_linear: lora_b must be given together with the other, got None", lora_z=normal(2, 4))
    refused(r"packed_linear: lora_b must be \[6, 4\]", lora_z=normal(2, 4), lora_b=normal(5, 4))
