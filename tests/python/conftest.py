"""Shared data and models that tests may use where they lie; a test without them is skipped with the variable's name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

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
