"""Benchmarks are run by their path, so each file there is a module that everything imported can see."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


def test_no_file_takes_the_name_of_a_package_that_torch_looks_for() -> None:
    """torch imports ``cuda.bindings``: a file ``cuda.py`` beside a benchmark would be taken for it."""
    code = f"import sys; sys.path.insert(0, {str(FOLDER)!r}); import torch, transformers, numpy, rich"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
