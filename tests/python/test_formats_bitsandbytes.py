"""NF4 and FP4 against bitsandbytes' CPU kernels: the same codes mean the same weights."""

from __future__ import annotations

import numpy as np
import pytest

from fairopt import formats

torch = pytest.importorskip("torch", reason="torch is not installed")
functional = pytest.importorskip(
    "bitsandbytes.functional", reason="bitsandbytes is not installed (requirements/dev.txt)"
)

# bitsandbytes flattens the matrix: its blocks and bytes are ours where rows are made of whole blocks.
SHAPES = [(1, 64), (3, 64), (7, 256), (16, 1024)]
BLOCKS = [32, 64, 128, 1024]


def weights(shape: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(0, 0.02, shape).astype(np.float32)


def cases():
    return [(s, b) for s in SHAPES for b in BLOCKS if s[1] % b == 0]


def state(q: formats.QuantizedArray):
    return functional.QuantState(
        absmax=torch.from_numpy(q.scales.reshape(-1)),
        shape=torch.Size(q.shape),
        dtype=torch.float32,
        blocksize=q.block,
        quant_type=q.format,
        code=functional.get_4bit_type(q.format, device="cpu"),
    )


@pytest.mark.parametrize("format", ["nf4", "fp4"])
@pytest.mark.parametrize(("shape", "block"), cases())
def test_bitsandbytes_reads_our_codes(format, shape, block):
    q = formats.quantize(weights(shape), format, block)
    theirs = functional.dequantize_4bit(torch.from_numpy(q.codes.reshape(-1, 1)), state(q)).numpy()
    np.testing.assert_allclose(theirs, q.dequantize(), rtol=1e-6, atol=0)


@pytest.mark.parametrize("format", ["nf4", "fp4"])
@pytest.mark.parametrize(("shape", "block"), cases())
def test_we_read_the_codes_of_bitsandbytes(format, shape, block):
    packed, theirs = functional.quantize_4bit(torch.from_numpy(weights(shape)), blocksize=block, quant_type=format)
    rows, cols = shape
    q = formats.QuantizedArray(
        packed.numpy().reshape(rows, cols // 2),
        theirs.absmax.numpy().reshape(rows, -1),
        np.zeros(0, np.uint8),
        format,
        block,
        cols,
    )
    expected = functional.dequantize_4bit(packed, theirs).numpy()
    np.testing.assert_allclose(q.dequantize(), expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("format", ["nf4", "fp4"])
@pytest.mark.parametrize(("shape", "block"), cases())
def test_codes_differ_only_beside_a_threshold(format, shape, block):
    # bitsandbytes multiplies by 1 / absmax where we divide: two roundings, 2^-23 for a ratio of at most 1. Its FP4
    # thresholds on the CPU are the midpoints computed in float32, ours the eight decimals of its CUDA path: 6.5e-8.
    x = weights(shape)
    q = formats.quantize(x, format, block)
    packed, theirs = functional.quantize_4bit(torch.from_numpy(x), blocksize=block, quant_type=format)
    np.testing.assert_array_equal(q.scales.reshape(-1), theirs.absmax.numpy())
    ours, other = (np.stack([c >> 4, c & 15], -1).reshape(x.shape) for c in (q.codes, packed.numpy().reshape(-1)))
    ratio = x / np.repeat(q.scales, block, axis=-1)
    levels = np.sort(functional.get_4bit_type(format, device="cpu").numpy().astype(np.float64))
    midpoints = (levels[1:] + levels[:-1]) / 2
    distance = np.abs(ratio[..., None] - midpoints).min(-1)
    different = ours != other
    if format == "fp4":  # -0 and +0 are one value: both codes of zero are right
        different &= ~((ours % 8 == 0) & (other % 8 == 0))
    assert np.all(distance[different] <= 2.0**-22)
