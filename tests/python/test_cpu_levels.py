"""Every instruction-set level of this CPU runs in its own process; what has the same bits on all of them has them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import CPU_LEVELS_RUN
from digests_of_level import digests

from fairopt import _core

FLAGS = {
    "baseline": set(),
    "avx2": {"avx2", "fma", "f16c"},
    "avx512": {"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512cd", "fma", "f16c"},
    "avx512_vnni": {"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512cd", "fma", "f16c", "avx512_vnni"},
}


def offered() -> list[str]:
    """The levels whose instructions the kernel lists: a second witness beside the library."""
    flags = set(re.findall(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)[0].split())
    return [level for level, needed in FLAGS.items() if needed <= flags]


@pytest.fixture(scope="module")
def here() -> dict[str, str]:
    return digests()


@pytest.mark.parametrize("level", _core.cpu_capabilities())
def test_the_same_bits_on_every_level(level: str, here: dict[str, str], pytestconfig: pytest.Config) -> None:
    script = Path(__file__).with_name("digests_of_level.py")
    environment = {**os.environ, "FAIROPT_CPU_CAPABILITY": level}
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    there = json.loads(done.stdout)
    assert there == {"level": level, "digests": here}
    pytestconfig.stash[CPU_LEVELS_RUN].append(level)


@pytest.mark.skipif(sys.platform != "linux", reason="no /proc/cpuinfo to ask")
def test_no_level_of_this_cpu_is_missing() -> None:
    assert _core.cpu_capabilities() == offered()


def test_an_unknown_level_is_refused() -> None:
    environment = {**os.environ, "FAIROPT_CPU_CAPABILITY": "avx3"}
    code = "from fairopt import _core; _core.cpu_capability()"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "FAIROPT_CPU_CAPABILITY must be one of baseline" in done.stderr
    assert "got avx3" in done.stderr
