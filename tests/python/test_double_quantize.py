"""Scales in 8 bits: the definition, agreement with bitsandbytes, what torch asks of an operator."""

from __future__ import annotations

import bitsandbytes.functional as bnb
import numpy as np
import pytest
import torch
from quantized import normal

from fairopt import _core, ops

OPS = torch.ops.fairopt


def scales(*shape: int, seed: int = 0) -> torch.Tensor:
    """Like those of 64 normal weights."""
    return ops.quantize_blockwise(normal(*shape[:-1], 64 * shape[-1], seed=seed), "nf4", 64)[1]


def test_the_map_is_that_of_bitsandbytes() -> None:
    assert torch.equal(ops.dynamic_map(), bnb.create_dynamic_map())
    values = _core.dynamic_map()
    assert len(values) == 256
    assert (min(values), max(values)) == (pytest.approx(-0.99296875, abs=2**-23), 1.0)  # rounded twice in float32
    assert min(v for v in values if v > 0) == pytest.approx(5.5e-7, rel=4 * 2**-24)


@pytest.mark.parametrize("shape", [(1, 1), (3, 85), (4, 64), (7, 300)])
def test_definition(shape: tuple[int, int]) -> None:
    a = scales(*shape)
    codes, nested, offset = ops.double_quantize(a)
    assert (codes.shape, nested.shape, offset.shape) == (a.shape, (-(-a.numel() // 256),), ())
    assert offset == a.double().mean().float()
    blocks = torch.nn.functional.pad((a - offset).reshape(-1), (0, -a.numel() % 256)).reshape(-1, 256)
    assert torch.equal(nested, blocks.abs().amax(1))
    ratio = blocks / torch.where(nested > 0, nested, 1.0)[:, None]
    nearest = (ratio[..., None] - ops.dynamic_map()).abs().argmin(-1).reshape(-1)[: a.numel()]
    assert torch.equal(codes.reshape(-1).long(), nearest)
    back = ops.dynamic_map()[codes.long()].reshape(-1) * nested.repeat_interleave(256)[: a.numel()] + offset
    assert torch.equal(ops.double_dequantize(codes, nested, offset), back.reshape(a.shape))


def test_scales_that_are_all_the_same_come_back() -> None:
    a = torch.full((3, 7), 0.3)
    assert torch.equal(ops.double_dequantize(*ops.double_quantize(a)), a)
    assert ops.double_dequantize(*ops.double_quantize(torch.empty(0, 4))).shape == (0, 4)


def test_bitsandbytes_decodes_to_the_same_bits() -> None:
    weight = normal(48, 1024, seed=3)
    packed, state = bnb.quantize_4bit(weight, blocksize=64, quant_type="nf4", compress_statistics=True)
    ours = ops.double_dequantize(state.absmax.reshape(48, 16), state.state2.absmax, state.offset)
    theirs = bnb.dequantize_blockwise(state.absmax, state.state2) + state.offset
    assert torch.equal(ours.reshape(-1), theirs)
    # 2^-21: the product with the scale, and the factor 1 / absmax that bitsandbytes' own kernel may use instead.
    dense = ops.dequantize_blockwise(packed.reshape(48, 512), ours, torch.empty(0, dtype=torch.uint8), "nf4", 64, 1024)
    torch.testing.assert_close(dense, bnb.dequantize_4bit(packed, state), rtol=2**-21, atol=0)


def test_bitsandbytes_quantises_to_the_same_codes_beside_a_midpoint() -> None:
    # Scales whose mean is exact in any order: multiples of 2^-10 below 2, 2048 of them (21 bits).
    weight = torch.round(normal(64, 2048, seed=4).clamp(-1.9, 1.9) * 1024) / 1024
    absmax = ops.quantize_blockwise(weight, "nf4", 64)[1]
    codes, nested, offset = ops.double_quantize(absmax)
    _, state = bnb.quantize_4bit(weight, blocksize=64, quant_type="nf4", compress_statistics=True)
    assert torch.equal(offset, state.offset)
    assert torch.equal(nested, state.state2.absmax)
    theirs = state.absmax.reshape(absmax.shape).long()
    # Its CPU kernel takes the code from a table of 65,535 equal cells over [-1, 1] (its CUDA kernel searches as we do):
    # a ratio is moved by half a cell, 1 / 65535, and the index (x + 1) 32767.5 + .5 is rounded thrice at 2^16: 3 2^-9
    # of a cell. So the codes may only differ where a midpoint of the map is that near.
    different = codes.long() != theirs
    ratio = ((absmax - offset).reshape(-1, 256) / nested[:, None]).reshape(absmax.shape).double()
    table = ops.dynamic_map().double()
    low = torch.minimum(codes.long(), theirs)[different]
    assert torch.equal((codes.long() - theirs)[different].abs(), torch.ones_like(low))
    distance = (ratio[different] - (table[low] + table[low + 1]) / 2).abs()
    assert (distance <= (1 + 2 * 3 * 2**-9) / 65535).all()
    assert different.double().mean() < 0.02  # 255 midpoints, each reached from 2 / 65535 of the 2 that ratios span


def test_the_mean_of_bitsandbytes_is_in_float32() -> None:
    absmax = scales(64, 64, seed=5).abs()
    offset = ops.double_quantize(absmax)[2]
    # Summing n positive values in float32 in any order: at most n - 1 roundings, and the division.
    assert abs(offset - absmax.mean()) <= absmax.numel() * 2**-24 * offset


def test_bits_per_weight() -> None:
    weight = normal(64, 256 * 64)  # 64 scales a row, 16384 of them in 64 nested blocks
    codes, absmax, _ = ops.quantize_blockwise(weight, "nf4", 64)
    parts = (codes, *ops.double_quantize(absmax))
    bits = 8 * sum(part.numel() * part.element_size() for part in parts) / weight.numel()
    assert bits == 4 + 8 / 64 + 32 / (64 * 256) + 32 / weight.numel()
    assert bits == pytest.approx(4.127, abs=5e-4)


def test_opcheck_compile_and_constants() -> None:
    a = scales(5, 60)
    nested = ops.double_quantize(a)
    torch.library.opcheck(OPS.double_quantize.default, (a,))
    torch.library.opcheck(OPS.double_dequantize.default, nested)
    compiled = torch.compile(
        lambda x: ops.double_dequantize(*ops.double_quantize(x)), fullgraph=True, backend="aot_eager"
    )
    assert torch.equal(compiled(a), ops.double_dequantize(*nested))
    assert not any(part.requires_grad for part in ops.double_quantize(a.requires_grad_()))


def test_strided_scales_are_read_in_order() -> None:
    a = scales(40, 30).T
    for got, want in zip(ops.double_quantize(a), ops.double_quantize(a.contiguous()), strict=True):
        assert torch.equal(got, want)


A = scales(2, 3)
CODES, NESTED, OFFSET = ops.double_quantize(A)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ops.double_quantize(A.double()), "double_quantize: scales must be float32, got float64"),
        (
            lambda: ops.double_quantize(torch.tensor([1.0, np.nan])),
            "double_quantize: scales must be finite, got 1 NaN or infinite values",
        ),
        (
            lambda: ops.double_dequantize(CODES.int(), NESTED, OFFSET),
            "double_dequantize: codes must be uint8, got int32",
        ),
        (
            lambda: ops.double_dequantize(CODES, NESTED.repeat(2), OFFSET),
            r"double_dequantize: nested_scales must be \[1\] one for every 256 codes, got \[2\]",
        ),
        (
            lambda: ops.double_dequantize(CODES, NESTED, OFFSET[None]),
            r"double_dequantize: nested_offset must be \[\] a scalar, got \[1\]",
        ),
    ],
)
def test_refusals(call, message) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        call()
