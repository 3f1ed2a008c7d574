"""tools/check_isa_symbols.py must find what it looks for: small objects with and without each offence."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "check_isa_symbols.py"
COMPILER = shutil.which("c++")

pytestmark = pytest.mark.skipif(
    COMPILER is None or platform.machine() not in ("x86_64", "AMD64"), reason="needs an x86-64 C++ compiler"
)

BASELINE = "float twice(float x) { return x + x; }"
KERNEL = """
    void add(const float* x, float* y, long n) { for (long i = 0; i < n; ++i) y[i] += x[i]; }
"""
WEAK = """
    template <class T> [[gnu::noinline]] T twice(T x) { return x + x; }
    float use(float x) { return twice(x); }
"""
# 40 accumulators do not fit 32 registers.
SPILL = """
    #include <immintrin.h>
    void sums(const float* x, float* y, long n) {
      __m512 acc[40];
      #pragma GCC unroll 40
      for (int j = 0; j < 40; ++j) acc[j] = _mm512_setzero_ps();
      for (long i = 0; i < n; ++i) {
        #pragma GCC unroll 40
        for (int j = 0; j < 40; ++j) acc[j] = _mm512_add_ps(acc[j], _mm512_set1_ps(x[40 * i + j]));
      }
      #pragma GCC unroll 40
      for (int j = 0; j < 40; ++j) _mm512_storeu_ps(y + 16 * j, acc[j]);
    }
"""
AVX2 = ["-mavx2", "-mfma"]
AVX512 = ["-mavx512f", "-mprefer-vector-width=512"]


def check(folder: Path, objects: dict[str, tuple[str, list[str]]]) -> tuple[int, str]:
    """Exit code and output of the tool for an archive of objects, name -> (source, flags)."""
    for name, (source, flags) in objects.items():
        (folder / f"{name}.cpp").write_text(source)
        subprocess.run(
            [COMPILER, "-O3", "-w", *flags, "-c", f"{name}.cpp", "-o", f"{name}.cpp.o"], cwd=folder, check=True
        )
    subprocess.run(["ar", "rc", "library.a", *(f"{name}.cpp.o" for name in objects)], cwd=folder, check=True)
    done = subprocess.run(
        [sys.executable, str(TOOL), "library.a"], cwd=folder, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout


def test_clean_levels_pass(tmp_path):
    code, output = check(
        tmp_path,
        {"baseline": (BASELINE, []), "avx2": (KERNEL, AVX2), "avx512": (KERNEL, AVX512), "metrics": (WEAK, [])},
    )
    assert code == 0, output
    assert "0 offences; functions by level: baseline 1, avx2 1, avx512 1" in output


@pytest.mark.parametrize(
    ("name", "source", "flags", "offence"),
    [
        ("metrics", KERNEL, AVX2, "VEX instruction outside its level"),
        ("metrics", KERNEL, AVX512, "EVEX instruction outside its level"),
        ("avx2", KERNEL, AVX512, "EVEX instruction outside its level"),
        ("avx2", WEAK, AVX2, "weak symbol in a level object"),
        ("avx512", SPILL, AVX512, "accumulator kept on the stack in an innermost loop"),
    ],
)
def test_each_offence_is_found(tmp_path, name, source, flags, offence):
    code, output = check(tmp_path, {"baseline": (BASELINE, []), name: (source, flags)})
    assert code == 1
    assert f"{name}.cpp.o: " in output
    assert offence in output


def test_an_archive_without_levels_is_refused(tmp_path):
    code, output = check(tmp_path, {"metrics": (BASELINE, [])})
    assert code == 1
    assert "must hold baseline.cpp.o" in output
