"""packed_linear: an inverse pair, the error of each mode, the same bits whatever the batch, gradients, refusals."""

from __future__ import annotations

import pytest
import torch
from quantized import DTYPES, Weight, linear_bound, normal, quantized

from fairopt import ops
from fairopt.formats import FORMATS

OPS = torch.ops.fairopt
PACKED = [format for format in FORMATS if ops.matmul_modes(format)]
MODES = [(format, mode) for format in PACKED for mode in ops.matmul_modes(format)]


def pack(weight: Weight, cols: int) -> torch.Tensor:
    return ops.pack_weight(*weight, cols)


@pytest.mark.parametrize("format", PACKED)
def test_unpack_is_the_inverse(format: str) -> None:
    weight = quantized(normal(70, 37), format, 16)
    for got, want in zip(ops.unpack_weight(pack(weight, 37), format, 16, 70, 37), weight[:3], strict=True):
        assert got.dtype == want.dtype
        assert torch.equal(got, want)


@pytest.mark.parametrize("format", PACKED)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_exact_is_within_the_bound_of_fp32(format: str, dtype: torch.dtype) -> None:
    weight = quantized(normal(70, 133), format, 32)
    x, bias = normal(3, 2, 133, dtype=dtype), normal(70, dtype=dtype)
    y = ops.packed_linear(x, pack(weight, 133), bias, format, 32, 70, "exact")
    exact = torch.nn.functional.linear(x.double(), weight.dense(133).double(), bias.double())
    # The products of a block meet two roundings more: of the chain times the scale. Zero points add a term as large as
    # the product of all codes.
    magnitude = 2 * weight.dense(133).abs().amax(-1, keepdim=True).expand(-1, 133) + weight.dense(133).abs()
    assert y.dtype == dtype
    assert ((y.double() - exact).abs() <= 2 * linear_bound(x, magnitude, bias, dtype)).all()


@pytest.mark.parametrize(("format", "mode"), MODES)
def test_a_row_is_the_same_bits_in_every_batch(format: str, mode: str) -> None:
    packed, x = pack(quantized(normal(70, 133), format, 32), 133), normal(70, 133)
    alone = torch.cat([ops.packed_linear(row[None], packed, None, format, 32, 70, mode) for row in x])
    for m in (2, 3, 5, 8, 70):
        assert torch.equal(ops.packed_linear(x[-m:], packed, None, format, 32, 70, mode), alone[-m:])


@pytest.mark.parametrize(("format", "mode"), [("int8", "a8"), ("int4_asym", "a24"), ("nf4", "i16")])
def test_opcheck(format: str, mode: str) -> None:
    weight = quantized(normal(6, 35), format, 16)
    torch.library.opcheck(OPS.pack_weight.default, (*weight, 35))
    torch.library.opcheck(OPS.unpack_weight.default, (pack(weight, 35), format, 16, 6, 35))
    x, bias, z, b = (normal(*s).requires_grad_() for s in ((2, 3, 35), (6,), (2, 3, 4), (6, 4)))
    torch.library.opcheck(OPS.packed_linear.default, (x, pack(weight, 35), bias, format, 16, 6, mode, z, b))
    torch.library.opcheck(OPS.packed_linear.default, (x[0, 0].half(), pack(weight, 35), None, format, 16, 6, mode))


@pytest.mark.parametrize("format", PACKED)
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
