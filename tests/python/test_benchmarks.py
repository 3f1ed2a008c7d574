"""The benchmark runs and measures what it says; how fast anything is, no test asks."""

import importlib
import sys
from pathlib import Path

import pytest
import torch

from fairopt import ops

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    module = importlib.import_module("quantized_linear")
    module.machine_limits.build()
    yield module
    for name in ("quantized_linear", "machine_limits"):
        sys.modules.pop(name)


def test_quantized_linear_benchmark_has_a_row_for_every_contender(benchmark, monkeypatch):
    monkeypatch.setattr(benchmark.machine_limits, "last_level_cache", lambda: 2**16)
    with torch.inference_mode():
        formats = [*benchmark.FORMATS, ("int3_sym", 128), ("fp8", 128)]
        rows, missing = benchmark.measure(64, 256, [1, 64], turns=2, formats=formats)
    assert all("fairopt" not in name for name in missing)
    # 8 or 16 bits a block, or bfloat16's 8, leave 2^-8 or 2^-16 of the largest activation; sums of 256 some of that. In
    # bf16 x and y are rounded to 2^-9 of themselves.
    bound = {"exact": 1e-5, "a24": 1e-5, "a16": 2**-11, "i16": 2**-11, "a8": 2**-5, "bf16": 2**-7}
    ours = [row.name for row in rows if row.name.startswith("fairopt") and row.m == 1]
    assert ours == [row.name for row in rows if row.name.startswith("fairopt") and row.m == 64]
    assert len(ours) == sum(1 + len(ops.matmul_modes(format)) for format, _ in formats)
    for row in rows:
        mode = row.name.removesuffix(" fp32").split()[-1]  # of x in bf16: "bf16"
        assert row.error < bound.get(mode, 1e-5 if row.name == "torch linear float32" else 2**-4)
        assert row.min_ms > 0
        assert row.of_limit > 0
        assert (row.n, row.k) == (64, 256)
    bits = {row.name: row.bits_per_weight for row in rows}
    assert bits["fairopt int4_sym b128 exact fp32"] == 4 + 32 / 128  # codes and an fp32 scale a block
    assert bits["fairopt int4_asym b128 exact fp32"] == 4 + 40 / 128  # and its zero point, a byte
    assert bits["fairopt nf4 b64 exact fp32"] == 4 + 32 / 64
    assert bits["fairopt int3_sym b128 exact fp32"] == 4 + 32 / 128  # resident: widened to nibbles
