"""Groups of codes with scale and minimum, against a plain twin in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fairopt.nn.kv_blocks import dequantize, quantize

BITS = (2, 3, 4, 8)


def twin_row(row: np.ndarray, bits: int, group: int) -> tuple[bytes, list[np.float32], list[np.float32], np.ndarray]:
    """Bit string, scales, minima and dequantised values of one row."""
    text, scales, minima, values = "", [], [], []
    for at in range(0, len(row), group):
        block = row[at : at + group].astype(np.float32)
        low, high = block.min(), block.max()
        scale = np.float32((high - low) / np.float32(2**bits - 1))
        for x in block:
            code = 0 if scale == 0 else min(2**bits - 1, int(np.rint((x - low) / scale)))
            text += f"{code:0{bits}b}"
            values.append(np.float32(code) * scale + low)
        scales.append(scale)
        minima.append(low)
    text += "0" * (-len(text) % 8)
    return bytes(int(text[i : i + 8], 2) for i in range(0, len(text), 8)), scales, minima, np.array(values)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize(("n", "group"), [(64, 32), (80, 64), (16, 32), (20, 16), (128, 128), (0, 16), (1, 16)])
def test_codes_scales_and_values_are_those_of_the_twin(bits: int, n: int, group: int) -> None:
    x = torch.randn(3, 2, n, generator=torch.Generator().manual_seed(n + bits)) * 3
    blocks = quantize(x, bits, group)
    values = dequantize(blocks, bits, group, n, torch.float32)
    for row in np.ndindex(3, 2):
        codes, scales, minima, expected = twin_row(x[row].numpy(), bits, group)
        assert blocks.codes[row].numpy().tobytes() == codes
        assert blocks.scales[row].tolist() == scales
        assert blocks.minima[row].tolist() == minima
        np.testing.assert_array_equal(values[row].numpy(), expected)


@pytest.mark.parametrize("bits", BITS)
def test_an_error_is_at_most_half_a_step(bits: int) -> None:
    x = torch.randn(64, 64, generator=torch.Generator().manual_seed(0))
    blocks = quantize(x, bits, 32)
    values = dequantize(blocks, bits, 32, 64, torch.float32)
    half = blocks.scales.repeat_interleave(32, -1) / 2
    # Of the four fp32 operations each is off by at most 2^-24 of a number not above 2^bits scale + |x|.
    rounding = 4 * 2.0**-24 * (2**bits * 2 * half + x.abs())
    assert bool(((values - x).abs() <= half + rounding).all())


@pytest.mark.parametrize("bits", BITS)
def test_equal_values_come_back_exactly(bits: int) -> None:
    x = torch.full((2, 40), -7.3)
    blocks = quantize(x, bits, 32)
    assert blocks.scales.count_nonzero() == 0
    assert torch.equal(dequantize(blocks, bits, 32, 40, torch.float32), x)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_of_16_bit_values_scale_and_minimum_are_kept_in_16_bits(dtype: torch.dtype) -> None:
    x = torch.randn(4, 64, generator=torch.Generator().manual_seed(1)).to(dtype)
    blocks = quantize(x, 4, 32)
    assert blocks.scales.dtype == blocks.minima.dtype == dtype
    assert 8 * blocks.nbytes / x.numel() == 4 + 2 * 16 / 32
    values = dequantize(blocks, 4, 32, 64, dtype)
    # Rounding the scale moves the highest value by up to 15 scales * 2^-8 (bf16 keeps 8 bits), the clamp by that much;
    # rounding the result to 16 bits by 2^-9 of it.
    step = blocks.scales.float().repeat_interleave(32, -1)
    bound = step * (0.5 + 15 * 2.0**-8) + x.float().abs() * 2.0**-8
    assert bool(((values.float() - x.float()).abs() <= bound).all())


def test_what_is_not_finite_stays_not_finite() -> None:
    x = torch.ones(1, 32)
    for bad in (float("nan"), float("inf"), -float("inf")):
        x[0, 5] = bad
        assert not torch.isfinite(dequantize(quantize(x, 4, 32), 4, 32, 32, torch.float32)).any()
