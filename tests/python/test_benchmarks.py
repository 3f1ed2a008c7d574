"""The benchmark runs and measures what it says; how fast anything is, no test asks."""

import importlib
import sys
from pathlib import Path

import pytest
import torch

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
        rows = benchmark.measure(64, 256, turns=2)
    assert [row.m for row in rows] == [1] * 5 + [64] * 5
    for row in rows:
        low = "int4pack" in row.name  # bfloat16 keeps 8 bits: its products and sums are off by about 2^-9
        assert row.error < (2**-7 if low else 1e-5)
        assert row.min_ms > 0
        assert row.of_limit > 0
        assert (row.n, row.k) == (64, 256)
    bits = {row.name: row.bits_per_weight for row in rows}
    assert bits["fairopt int4_sym b128"] == 4 + 32 / 128  # codes and an fp32 scale a block
    assert bits["fairopt int4_asym b128"] == 4 + 40 / 128  # and an 8-bit zero point
    assert bits["fairopt nf4 b64"] == 4 + 32 / 64
