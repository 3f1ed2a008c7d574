"""NumPy face of the formats: what must always hold, and agreement with the definitions written a second time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fairopt import _core, formats

BLOCKS = st.sampled_from([16, 48, 64, 128, 8192])
# Scales and products stay normal numbers; test_quantize.cpp covers the subnormal and the huge.
VALUES = st.one_of(
    st.just(0.0),
    st.floats(2.0**-60, 2.0**60, width=32),
    st.floats(-(2.0**60), -(2.0**-60), width=32),
)
MATRICES = arrays(np.float32, st.tuples(st.integers(0, 3), st.integers(0, 150)), elements=VALUES)
EPSILON = 2.0**-24  # half a unit in the last place of float32, relative


def unpack(q: formats.QuantizedArray) -> np.ndarray:
    """Codes as one integer a value, as stored; int8 with its sign."""
    if q.format == "int8":
        return q.codes.view(np.int8).astype(int)
    bits = format_bits(q.format)
    stream = np.unpackbits(q.codes, axis=-1)[..., : q.cols * bits]
    return stream.reshape(*stream.shape[:-1], q.cols, bits) @ (1 << np.arange(bits)[::-1])


def format_bits(format: str) -> int:
    return int(next(c for c in format if c.isdigit()))


def per_value(q: formats.QuantizedArray, blocks: np.ndarray) -> np.ndarray:
    return np.repeat(blocks, q.block, axis=-1)[..., : q.cols]


@pytest.mark.parametrize("format", formats.FORMATS)
@given(x=MATRICES, block=BLOCKS)
@settings(max_examples=20, deadline=None)
def test_error_is_at_most_half_a_step(format, x, block):
    q = formats.quantize(x, format, block)
    error = np.abs(q.dequantize().astype(np.float64) - x)
    scale = per_value(q, q.scales).astype(np.float64)
    # Half the widest gap between neighbouring levels, in units of the scale. Of sym_signed8 the end of the other sign
    # may be clamped by a whole step; the top octave of e4m3 has levels 32 apart.
    half_step = {
        "nf4": (1 - 0.6961928009986877) / 2,
        "fp4": (1 - 8 / 12) / 2,
        "int4_sym_signed8": 1.0,
        "fp8": 16.0,
    }.get(format, 0.5)
    # Rounded besides: scale, ratio, product, each half a unit of the largest level; FP4's table and thresholds are off
    # by 3.5e-8 more. The integer zero points clamp when both ends of the range round up: half a step again.
    top = {"nf4": 1, "fp4": 1, "fp8": 448}.get(format, 2 ** format_bits(format))
    bound = np.abs(scale) * (half_step + 8 * top * EPSILON)
    if q.zeros.dtype == np.float32:  # zero point, its sum with a multiple and the way back round in units of the value
        bound = bound + 8 * EPSILON * np.abs(x).max(initial=0)
    assert np.all(error <= bound)


@pytest.mark.parametrize("format", ["int8", "nf4", "fp4", "fp8", "int4_sym_7", "int4_sym_no_clip", "int4_sym_signed8"])
@given(x=MATRICES, block=BLOCKS)
@settings(max_examples=20, deadline=None)
def test_quantising_again_gives_the_same_codes(format, x, block):
    # The other symmetric rules (amax / 7.5 is no level) and the integer zero points (a rounded one shortens the range)
    # cannot promise this.
    once = formats.quantize(x, format, block)
    again = formats.quantize(once.dequantize(), format, block)
    np.testing.assert_array_equal(once.codes, again.codes)


@pytest.mark.parametrize("format", formats.FORMATS)
@given(
    x=arrays(np.float32, (6, 32), elements=VALUES),
    order=st.permutations(range(12)),
)
@settings(max_examples=20, deadline=None)
def test_blocks_do_not_know_each_other(format, x, order):
    blocks = x.reshape(12, 16)
    together = formats.quantize(x, format, 16).dequantize().reshape(12, 16)
    shuffled = formats.quantize(blocks[order].reshape(6, 32), format, 16).dequantize().reshape(12, 16)
    np.testing.assert_array_equal(together[order], shuffled)


@pytest.mark.parametrize("format", formats.FORMATS)
@given(x=MATRICES, power=st.integers(-20, 20), block=BLOCKS)
@settings(max_examples=20, deadline=None)
def test_a_power_of_two_moves_into_the_scale(format, x, power, block):
    q, scaled = formats.quantize(x, format, block), formats.quantize(np.ldexp(x, power), format, block)
    # Behind the last code of a row stands that of 0, which has none where the scale is 0.
    np.testing.assert_array_equal(unpack(q), unpack(scaled))
    zeros = np.ldexp(q.zeros, power) if q.zeros.dtype == np.float32 else q.zeros
    np.testing.assert_array_equal(zeros, scaled.zeros)
    np.testing.assert_array_equal(np.ldexp(q.scales, power), scaled.scales)


@pytest.mark.parametrize("format", ["int8", "int4_sym", "int4_asym"])
@given(x=arrays(np.float32, (3, 64), elements=VALUES))
@settings(max_examples=20, deadline=None)
def test_integer_formats_follow_their_formula(format, x):
    q = formats.quantize(x, format, 16)
    blocks = x.reshape(3, 4, 16)
    amax, low, high = np.abs(blocks).max(-1), blocks.min(-1).clip(max=0), blocks.max(-1).clip(min=0)
    scale = {
        "int8": amax / np.float32(127),
        "int4_sym": amax / np.float32(7.5),
        "int4_asym": (high - low) / np.float32(15),
    }[format]
    np.testing.assert_array_equal(q.scales, scale)
    step = np.where(scale > 0, scale, np.float32(1))[..., None]
    if format == "int8":
        code = np.rint(blocks / step).clip(-127, 127)
    elif format == "int4_sym":
        code = np.rint(blocks / step).clip(-8, 7) + 8
    else:
        zero = np.rint(-low[..., None] / step).clip(0, 15)
        np.testing.assert_array_equal(q.zeros, zero[..., 0])
        code = (np.rint(blocks / step) + zero).clip(0, 15)
    np.testing.assert_array_equal(unpack(q), code.reshape(3, 64))


@pytest.mark.parametrize("format", formats.FORMATS)
def test_sixteen_bit_input_equals_its_float32_value_and_output_is_rounded_once(format):
    x = np.random.default_rng(0).normal(0, 0.02, (5, 100)).astype(np.float32)
    half = x.astype(np.float16)
    bf16 = (x.view(np.uint32) >> 16).astype(np.uint16)
    widened = (bf16.astype(np.uint32) << 16).view(np.float32)
    for given_, value in [(half, half.astype(np.float32)), (bf16, widened)]:
        a, b = formats.quantize(given_, format), formats.quantize(value, format)
        np.testing.assert_array_equal(a.codes, b.codes)
        np.testing.assert_array_equal(a.scales, b.scales)
    q = formats.quantize(x, format)
    np.testing.assert_array_equal(q.dequantize("float16"), q.dequantize().astype(np.float16))
    nearest = q.dequantize("bfloat16").astype(np.uint32) << 16
    step = np.spacing(np.abs(q.dequantize())) * 2.0**15  # half a unit of bfloat16
    assert np.all(np.abs(nearest.view(np.float32) - q.dequantize()) <= step)


def test_rows_that_are_not_contiguous_are_read_in_order():
    x = np.random.default_rng(1).normal(size=(64, 33)).astype(np.float32)
    np.testing.assert_array_equal(formats.quantize(x.T, "nf4").codes, formats.quantize(x.T.copy(), "nf4").codes)
    before = x.copy()
    formats.quantize(x[::2], "nf4")
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize(
    ("format", "bits"),
    [
        ("int8", 8.5),
        ("int4_sym", 4.5),
        ("int4_asym", 4.625),
        ("nf4", 4.5),
        ("fp4", 4.5),
        ("fp8", 8.5),
        ("int3_sym", 3.5),
        ("int3_asym", 3.625),
        ("int3_asym_float", 4.0),
    ],
)
def test_bits_per_weight_count_scales_and_zero_points(format, bits):
    assert formats.quantize(np.ones((4, 128), np.float32), format, 64).bits_per_weight == bits


@pytest.mark.parametrize("shape", [(0,), (0, 64), (3, 0)])
def test_empty_arrays(shape):
    q = formats.quantize(np.zeros(shape, np.float32), "int4_asym")
    assert q.shape == shape
    assert q.dequantize().shape == shape
    assert np.isnan(q.bits_per_weight)


def test_bad_arguments_say_what_is_wanted():
    x = np.ones((2, 32), np.float32)
    for bad, message in [
        (lambda: formats.quantize(x.astype(np.float64), "nf4"), "array must be float32, float16 or uint16"),
        (lambda: formats.quantize(np.array(1, np.float32), "nf4"), "at least one dimension"),
        (lambda: formats.quantize(x, "nf5"), "format must be one of int8"),
        (lambda: formats.quantize(x, "nf4", 24), "block must be a multiple of 16"),
        (lambda: formats.quantize(np.where(x == 1, np.nan, x), "nf4"), "64 NaN or infinite values"),
        (lambda: formats.prune_mask(np.array([1, np.inf], np.float32), 1), "score must be finite"),
        (lambda: formats.prune_mask(x, 65), r"prune must be in \[0, 64\], got 65"),
        (lambda: formats.prune_mask_n_of_m(x, 2, 3), "multiple of m = 3"),
        (lambda: formats.quantize(x, "nf4").dequantize("float64"), "dtype must be float32, float16 or bfloat16"),
    ]:
        with pytest.raises(ValueError, match=message):
            bad()
    q = formats.quantize(x, "nf4", 32)
    with pytest.raises(ValueError, match=r"scales must be of shape \(2, 2\), got \(2, 1\)"):
        _core.dequantize_blockwise(q.codes, q.scales, q.zeros, "nf4", 16, 32, "float32")
    with pytest.raises(TypeError):
        _core.quantize_blockwise([[1.0, 2.0]], "nf4", 64)


@given(score=MATRICES, data=st.data())
@settings(max_examples=20, deadline=None)
def test_prune_mask_is_exact_and_breaks_ties_by_index(score, data):
    prune = data.draw(st.integers(0, score.size))
    mask = formats.prune_mask(score, prune)
    expected = np.ones(score.size, bool)
    expected[np.argsort(np.abs(score).ravel(), kind="stable")[:prune]] = False
    np.testing.assert_array_equal(mask.ravel(), expected)
    assert mask.shape == score.shape


@given(data=st.data(), m=st.integers(1, 32), rows=st.integers(0, 5), groups=st.integers(0, 5))
@settings(max_examples=20, deadline=None)
def test_n_of_m_keeps_the_n_largest_of_every_group(data, m, rows, groups):
    n = data.draw(st.integers(1, m))
    score = data.draw(arrays(np.float32, (rows, groups * m), elements=st.sampled_from([0.0, -1.0, 1.0, 2.0, -3.0])))
    mask = formats.prune_mask_n_of_m(score, n, m).reshape(-1, m)
    magnitude = np.abs(score).reshape(-1, m)
    assert np.all(mask.sum(1) == n)
    kept, pruned = np.where(mask, magnitude, np.inf), np.where(mask, -np.inf, magnitude)
    assert np.all(kept.min(1, initial=np.inf) >= pruned.max(1, initial=-np.inf))
