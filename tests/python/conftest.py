"""Shared data and models that tests may use where they lie; a test without them is skipped with the variable's name."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import settings

# No test is timed: on a machine that does something else, an example takes as long as it takes.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# Whoever starts pytest may ignore signals, which is inherited: every exit status of a child would read 0 (SIGCHLD),
# and Ctrl-C would not reach it (SIGINT, which shells ignore in what they run in the background).
signal.signal(signal.SIGCHLD, signal.SIG_DFL)
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_SHARED = Path(__file__).resolve().parents[3] / "shared"


def _shared(variable: str, folder: str) -> Path:
    path = Path(os.environ.get(variable) or _SHARED / folder)
    if not path.is_dir():
        pytest.skip(f"no folder {path}: set {variable}")
    return path


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of benchmark data, one folder a benchmark."""
    return _shared("FAIROPT_DATA", "data")


@pytest.fixture(scope="session")
def models_dir() -> Path:
    """Folder of small pre-trained models."""
    return _shared("FAIROPT_MODELS", "models")


# ---- Instruction-set levels: the output says which ones ran ----

CPU_LEVELS_RUN = pytest.StashKey[list[str]]()  # filled by test_cpu_levels.py


def pytest_configure(config: pytest.Config) -> None:
    config.stash[CPU_LEVELS_RUN] = []


def pytest_report_header() -> str:
    from fairopt import _core

    return f"CPU level: {_core.cpu_capability()} (test_cpu_levels.py runs {', '.join(_core.cpu_capabilities())})"


# ---- CUDA parity tests: run where there is a device, counted by name where there is none ----

_CUDA_NOT_RUN = pytest.StashKey[list[str]]()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    parity = [item for item in items if item.get_closest_marker("cuda")]
    if not parity:
        return
    import torch

    if torch.cuda.is_available():
        return
    config.stash[_CUDA_NOT_RUN] = [item.name.partition("[")[0] for item in parity]
    for item in parity:
        item.add_marker(pytest.mark.skip(reason="no CUDA device"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if levels := config.stash[CPU_LEVELS_RUN]:
        terminalreporter.write_line(f"CPU levels that ran, with the same bits: {', '.join(levels)}")
    names = config.stash.get(_CUDA_NOT_RUN, [])
    if names:
        counted = ", ".join(f"{name} ({count})" for name, count in Counter(names).items())
        terminalreporter.write_line(f"{len(names)} CUDA parity tests not run (no CUDA device): {counted}")
