"""tools/check_spills.py must find a planted spill, and must not pass a library that lacks what it looks at."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "check_spills.py"
COMPILER = shutil.which("c++")

pytestmark = pytest.mark.skipif(
    COMPILER is None or platform.machine() not in ("x86_64", "AMD64"), reason="needs an x86-64 C++ compiler"
)

# A micro-kernel with kSums accumulators of 16 floats: 24 fit the 32 registers of AVX-512, 40 do not.
KERNEL = """
    #include <immintrin.h>
    namespace {
    template <int kSums>
    [[gnu::noinline]] void NAME(const float* x, float* y, long n) {
      __m512 acc[kSums];
      #pragma GCC unroll 40
      for (int j = 0; j < kSums; ++j) acc[j] = _mm512_setzero_ps();
      for (long i = 0; i < n; ++i) {
        #pragma GCC unroll 40
        for (int j = 0; j < kSums; ++j) acc[j] = _mm512_add_ps(acc[j], _mm512_set1_ps(x[40 * i + j]));
      }
      #pragma GCC unroll 40
      for (int j = 0; j < kSums; ++j) _mm512_storeu_ps(y + 16 * j, acc[j]);
    }
    }
    void call_NAME(const float* x, float* y, long n) { NAME<SUMS>(x, y, n); }
"""


def check(folder: Path, sums: dict[str, int]) -> tuple[int, str]:
    """Exit code and output of the tool for an avx512 object that holds kernels, name -> accumulators."""
    source = "".join(KERNEL.replace("NAME", name).replace("SUMS", str(n)) for name, n in sums.items())
    (folder / "avx512.cpp").write_text(source)
    # Without merging equal functions: here all kernels have the same body.
    command = [COMPILER, "-O3", "-fno-ipa-icf", "-w", "-mavx512f", "-c", "avx512.cpp", "-o", "avx512.cpp.o"]
    subprocess.run(command, cwd=folder, check=True)
    subprocess.run(["ar", "rc", "library.a", "avx512.cpp.o"], cwd=folder, check=True)
    done = subprocess.run(
        [sys.executable, str(TOOL), "library.a"], cwd=folder, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout


def hot(**sums: int) -> dict[str, int]:
    """Every kernel that the tool wants to see, with registers to spare but where said otherwise."""
    sys.path.insert(0, str(TOOL.parent))
    from check_spills import HOT

    return {names[0]: 24 for names in HOT.values()} | sums


def test_accumulators_in_registers_pass(tmp_path):
    code, output = check(tmp_path, hot())
    assert code == 0, output
    assert "check_spills: 0 offences" in output


def test_a_planted_spill_is_found(tmp_path):
    code, output = check(tmp_path, hot(add_decoded=40))
    assert code == 1, output
    assert "add_decoded<40>" in output
    assert "(%rsp)" in output or "(%rbp)" in output


def test_a_spill_elsewhere_does_not_count(tmp_path):
    code, output = check(tmp_path, hot(unpack_once=40))
    assert code == 0, output


def test_a_library_without_the_kernels_fails(tmp_path):
    code, output = check(tmp_path, {"renamed": 24})
    assert code == 1, output
    assert "avx512: no function of packed_exact to look at" in output
