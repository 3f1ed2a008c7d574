"""How far the formats are from normal weights: the tables of docs/formats.md, each figure within its sampling error."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from fairopt import formats

# RMS error on N(0, 1), measured once on 2500 groups with other code and written down to three decimals.
GROUPS_WRITTEN = 2500
WRITTEN = {
    32: {"int4_sym_7": 0.096, "int4_sym": 0.095, "int4_sym_signed8": 0.086, "int4_asym": 0.081,
         "int4_asym_float": 0.078, "nf4": 0.088, "fp4": 0.115},
    64: {"int4_sym_7": 0.107, "int4_sym": 0.102, "int4_sym_signed8": 0.095, "int4_asym": 0.091,
         "int4_asym_float": 0.090, "nf4": 0.092, "fp4": 0.122},
    128: {"int4_sym_7": 0.118, "int4_sym": 0.111, "int4_sym_signed8": 0.103, "int4_asym": 0.101,
          "int4_asym_float": 0.100, "nf4": 0.095, "fp4": 0.128},
}  # fmt: skip
GROUPS = 10000


def rms(x: np.ndarray, format: str, group: int) -> tuple[float, float]:
    """RMS error over all values, and the standard error of that figure over 2500 such groups."""
    squares = np.square(formats.quantize(x, format, group).dequantize() - x).mean(-1, dtype=np.float64)
    value = np.sqrt(squares.mean())
    return value, squares.std() / np.sqrt(GROUPS_WRITTEN) / (2 * value)


@pytest.mark.parametrize("group", WRITTEN)
def test_rms_error_on_normal_weights(group):
    x = np.random.default_rng(group).normal(size=(GROUPS, group)).astype(np.float32)
    measured = {format: rms(x, format, group) for format in WRITTEN[group]}
    for format, (value, error) in measured.items():
        # Two samples of GROUPS and GROUPS_WRITTEN groups: four standard errors of their difference; three decimals.
        tolerance = 4 * error * np.sqrt(1 + GROUPS_WRITTEN / GROUPS) + 0.0005
        assert abs(value - WRITTEN[group][format]) <= tolerance, (format, value, tolerance)

    def order(figures):
        return sorted(figures, key=figures.__getitem__)

    assert order({format: value for format, (value, _) in measured.items()}) == order(WRITTEN[group])


def test_a_group_of_one_sign_is_no_trap_here():
    # GPTQ's symmetric rule takes its scale from a range that starts at 0 where no value is negative and still puts the
    # zero in the middle: everything above 7 / 15 of the largest saturates.
    x = np.abs(np.random.default_rng(0).normal(size=(2500, 32))).astype(np.float32)
    size = np.sqrt(np.square(x).mean())
    scale = x.max(-1, keepdims=True) / 15
    trapped = np.rint(x / scale).clip(-8, 7) * scale
    assert np.sqrt(np.square(trapped - x).mean()) / size == pytest.approx(0.37, abs=0.03)
    for format in ("int4_sym", "int4_sym_7", "int4_sym_no_clip", "int4_sym_signed8", "nf4"):
        assert rms(x, format, 32)[0] / size < 0.12, format
    assert rms(x, "int4_sym", 32)[0] / size == pytest.approx(0.10, abs=0.01)


def test_nf4_is_its_construction():
    p = 0.9677083
    positive = norm.ppf(np.linspace(p, 0.5, 9)[:-1])
    negative = -norm.ppf(np.linspace(p, 0.5, 8)[:-1])
    built = np.sort(np.concatenate([positive, negative, [0.0]])) / positive.max()
    codes = np.arange(0, 256, 17, dtype=np.uint8)[None]  # 0x00, 0x11, ..., 0xff: every code twice
    q = formats.QuantizedArray(codes, np.ones((1, 1), np.float32), np.zeros(0, np.uint8), "nf4", 32, 32)
    np.testing.assert_allclose(q.dequantize()[0, ::2], built, rtol=0, atol=1.1e-7)


def test_bits_per_weight():
    x = np.random.default_rng(0).normal(size=(64, 1024)).astype(np.float32)

    def bits(format, block):
        return formats.quantize(x, format, block).bits_per_weight

    assert bits("nf4", 64) == 4.5
    assert bits("int4_sym", 128) == 4.25  # with the fp16 scales of other libraries 4.125
    assert bits("int4_asym", 128) == 4.3125
    assert bits("int4_asym_float", 128) == bits("int4_tinygemm", 128) == 4.5
    assert bits("int3_sym", 128) == 3.25
    assert bits("int8", 1024) == bits("fp8", 1024) == 8.03125
