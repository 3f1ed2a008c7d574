"""Every number format against its rule: blocks worked out by hand, the rule written a second time, torch's own fp8."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from test_formats import EPSILON, MATRICES, VALUES, format_bits, unpack

from fairopt import _core, formats

INTEGERS = [f for f in formats.FORMATS if f.startswith("int")]

# Values of one short block, chosen so that the scale is exact; what must be stored; what comes back.
BY_HAND = {
    "int8": ([127, -127, 0.5, 1.5], 1, None, [127, -127, 0, 2], [127, -127, 0, 2]),
    "int4_sym_7": ([7, -7, 3.5, 2.5, -0.4], 1, None, [15, 1, 12, 10, 8], [7, -7, 4, 2, 0]),
    "int4_sym": ([7.5, -7.5, 3.5, 2.5, -0.4], 1, None, [15, 0, 12, 10, 8], [7, -8, 4, 2, 0]),
    "int4_sym_no_clip": ([7, -8, 3.5, -0.5], 1, None, [15, 0, 12, 8], [7, -8, 4, 0]),
    "int4_sym_signed8": ([8, -7, 3.5, -0.5], -1, None, [0, 15, 4, 8], [8, -7, 4, 0]),
    "int4_asym": ([-5, 10, 2.5, 3.5, -0.5], 1, 5, [0, 15, 7, 9, 5], [-5, 10, 2, 4, 0]),
    "int4_asym_float": ([1, 16, 3.5, 4.5, 8], 1, 1, [0, 15, 2, 4, 7], [1, 16, 3, 5, 8]),
    "int4_tinygemm": ([1, 16, 3.5, 4.5, 8], 1, 9, [0, 15, 2, 4, 7], [1, 16, 3, 5, 8]),
    "int2_sym": ([1.5, -1.5, 0.5, 0.6], 1, None, [3, 0, 2, 3], [1, -2, 0, 1]),
    "int3_sym": ([3.5, -3.5, 2.5, 0.5], 1, None, [7, 0, 6, 4], [3, -4, 2, 0]),
    "int5_sym": ([15.5, -15.5, 2.5], 1, None, [31, 0, 18], [15, -16, 2]),
    "int6_sym": ([31.5, -31.5, 2.5], 1, None, [63, 0, 34], [31, -32, 2]),
    "int2_asym": ([-1, 2, 0.5, 1.5], 1, 1, [0, 3, 1, 3], [-1, 2, 0, 2]),
    "int3_asym": ([0, 7, 2.5], 1, 0, [0, 7, 2], [0, 7, 2]),
    "int5_asym": ([-31, -30.5], 1, 31, [0, 1], [-31, -30]),
    "int6_asym": ([-3, 60, 0.5], 1, 3, [0, 63, 3], [-3, 60, 0]),
    "int8_asym": ([-100, 155, 0.5], 1, 100, [0, 255, 100], [-100, 155, 0]),
    "int2_asym_float": ([-4, -1, -2.5], 1, -4, [0, 3, 2], [-4, -1, -2]),
    "int3_asym_float": ([2, 9, 4.5], 1, 2, [0, 7, 2], [2, 9, 4]),
    "int5_asym_float": ([2, 33, 4.5], 1, 2, [0, 31, 2], [2, 33, 4]),
    "int6_asym_float": ([2, 65, 4.5], 1, 2, [0, 63, 2], [2, 65, 4]),
    "int8_asym_float": ([1, 256, 2.5], 1, 1, [0, 255, 2], [1, 256, 3]),
    "nf4": ([1, -1, 0, 0.5, 0.04], 1, None, [15, 0, 7, 12, 8], [1, -1, 0, 0.44070982933044434, 0.07958029955625534]),
    "fp4": ([12, -12, 1, 8, 0.03], 12, None, [3, 11, 1, 2, 0], [12, -12, 0.0625, 8, 0]),
    # 17 lies between 16 and 18, 19 between 18 and 20: the even mantissa wins. 2^-10 is half of the least subnormal.
    "fp8": ([448, -448, 1, 17, 19, 2**-9, 2**-10], 1, None, [0x7E, 0xFE, 0x38, 0x58, 0x5A, 1, 0], None),
}


def test_a_block_by_hand_is_there_for_every_format():
    assert set(BY_HAND) == set(formats.FORMATS) == set(_core.format_names())


@pytest.mark.parametrize("format", formats.FORMATS)
def test_blocks_by_hand(format):
    values, scale, zero, codes, back = BY_HAND[format]
    q = formats.quantize(np.array([values], np.float32), format, 16)
    assert q.scales.tolist() == [[scale]]
    assert q.zeros.tolist() == ([] if zero is None else [[zero]])
    assert unpack(q).tolist() == [codes]
    expected = [448, -448, 1, 16, 20, 2**-9, 0] if back is None else back
    np.testing.assert_allclose(q.dequantize(), [expected], rtol=EPSILON, atol=0)


def rule(format, blocks):
    """Codes, scales and zero points of blocks [..., n] in float32, straight from the table of docs/formats.md."""
    bits = format_bits(format)
    half, levels = np.float32(2 ** (bits - 1)), np.float32(2**bits - 1)
    low, high = blocks.min(-1, keepdims=True), blocks.max(-1, keepdims=True)
    amax = np.maximum(abs(low), abs(high))
    wide_low, wide_high = np.minimum(low, 0), np.maximum(high, 0)
    dialect = format.partition("_")[2] or ("sym_7" if format == "int8" else format)
    zero = np.zeros_like(amax)
    if dialect == "sym_7":
        scale, least = amax / (half - 1), 1 - half
    elif dialect == "sym":
        scale, least = amax / (half - np.float32(0.5)), -half
    elif dialect == "sym_no_clip":
        scale, least = np.maximum(wide_low / -half, wide_high / (half - 1)), -half
    elif dialect == "sym_signed8":
        scale, least = np.where(-wide_low >= wide_high, wide_low, wide_high) / -half, -half
    else:
        start, end = (wide_low, wide_high) if dialect == "asym" else (low, high)
        scale = (end - start) / levels
        step = np.where(scale == 0, np.float32(1), scale)
        if dialect == "asym":
            zero = np.rint(-start / step).clip(0, levels)
            return (np.rint(blocks / step) + zero).clip(0, levels), scale, zero
        zero = start if dialect == "asym_float" else start + 8 * scale
        first = zero if dialect == "asym_float" else zero - 8 * scale
        return np.rint((blocks - first) / step).clip(0, levels), scale, zero
    step = np.where(scale == 0, np.float32(1), scale)
    codes = np.rint(blocks / step).clip(least, half - 1)
    return codes if format == "int8" else codes + half, scale, zero


@pytest.mark.parametrize("format", INTEGERS)
@given(x=arrays(np.float32, (3, 64), elements=VALUES))
@settings(max_examples=20, deadline=None)
def test_integer_formats_follow_their_rule(format, x):
    q = formats.quantize(x, format, 16)
    codes, scales, zeros = rule(format, x.reshape(3, 4, 16))
    np.testing.assert_array_equal(q.scales, scales[..., 0])
    if q.zeros.size:
        np.testing.assert_array_equal(q.zeros, zeros[..., 0])
    np.testing.assert_array_equal(unpack(q), codes.reshape(3, 64))


def test_fp8_is_torch_float8_e4m3fn():
    codes = np.arange(256, dtype=np.uint8)
    q = formats.QuantizedArray(codes[None], np.ones((1, 1), np.float32), np.zeros(0, np.uint8), "fp8", 256, 256)
    theirs = torch.from_numpy(codes).view(torch.float8_e4m3fn).float().numpy()
    np.testing.assert_array_equal(q.dequantize()[0], theirs)  # NaN where theirs is
    np.testing.assert_array_equal(np.signbit(q.dequantize()[0]), np.signbit(theirs))
    # Every finite value, every midpoint of two neighbours and what lies beside it, with 448 to make the scale 1.
    levels = theirs[:0x7F]
    middle = (levels[1:] + levels[:-1]) / 2
    near = np.concatenate([levels, middle, np.nextafter(middle, 0), np.nextafter(middle, 500)])
    x = np.concatenate([near, -near, [448.0]]).astype(np.float32)
    q = formats.quantize(x, "fp8", 2048)
    assert q.scales.tolist() == [1.0]
    expected = torch.from_numpy(x).to(torch.float8_e4m3fn).view(torch.uint8).numpy()
    np.testing.assert_array_equal(q.codes, expected)


@given(x=MATRICES)
@settings(max_examples=50, deadline=None)
def test_fp8_makes_no_nan(x):
    q = formats.quantize(x, "fp8", 16)
    assert not np.any(q.codes & 0x7F == 0x7F)
    assert np.all(np.isfinite(q.dequantize()))


@pytest.mark.parametrize("format", [f for f in INTEGERS if "float" in f or "tinygemm" in f])
@given(seed=st.integers(0, 2**32), block=st.sampled_from([16, 64]))
@settings(max_examples=20, deadline=None)
def test_float_zero_points_come_back_where_the_range_is_as_large_as_the_values(format, seed, block):
    # Each rounding moves a value by 2^-24 of the largest, hundreds of steps of 8 bits below half a step. Where the
    # range is 2^-20 of the values a code cannot come back: float32 has no such values.
    x = np.random.default_rng(seed).normal(size=(3, 200)).astype(np.float32)
    once = formats.quantize(x, format, block)
    again = formats.quantize(once.dequantize(), format, block)
    np.testing.assert_array_equal(once.codes, again.codes)


@given(x=MATRICES)
@settings(max_examples=50, deadline=None)
def test_the_grids_of_2_4_and_8_bits_are_nested(x):
    # 3 steps divide 15, and 15 divide 255: a finer grid holds the coarser, so no value gets worse (up to rounding).
    errors = [np.abs(formats.quantize(x, f"int{bits}_asym_float", 16).dequantize() - x) for bits in (2, 4, 8)]
    slack = 8 * EPSILON * np.abs(x).max(initial=0)
    assert np.all(errors[1] <= errors[0] + slack)
    assert np.all(errors[2] <= errors[1] + slack)


@pytest.mark.parametrize("dialect", ["sym", "asym", "asym_float"])
def test_more_bits_are_nearer(dialect):
    x = np.random.default_rng(0).normal(size=(200, 64)).astype(np.float32)
    widths = [bits for bits in (2, 3, 4, 5, 6, 8) if f"int{bits}_{dialect}" in formats.FORMATS]
    errors = [np.square(formats.quantize(x, f"int{b}_{dialect}", 64).dequantize() - x).mean() for b in widths]
    assert errors == sorted(errors, reverse=True)
    assert len(widths) >= 5


@pytest.mark.parametrize("format", formats.FORMATS)
def test_a_row_of_any_length_can_be_one_block(format):
    x = np.random.default_rng(1).normal(size=(2, 5001)).astype(np.float32)
    whole = formats.quantize(x, format, 5008)
    larger = formats.quantize(x, format, 1 << 20)
    assert whole.scales.shape == larger.scales.shape == (2, 1)
    np.testing.assert_array_equal(whole.codes, larger.codes)
    np.testing.assert_array_equal(whole.dequantize(), larger.dequantize())
    half = formats.quantize(x.astype(np.float16), format, 5008)  # through a buffer longer than the usual one
    np.testing.assert_array_equal(
        half.codes, formats.quantize(x.astype(np.float16).astype(np.float32), format, 5008).codes
    )
    np.testing.assert_array_equal(whole.dequantize("float16"), whole.dequantize().astype(np.float16))
