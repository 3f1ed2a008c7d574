"""The checks that keep the project as it is documented. `make lint` runs the same commands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str, timeout: int = 300) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False)


@pytest.mark.parametrize(
    "command",
    [
        ("-m", "ruff", "check", "."),
        ("-m", "ruff", "format", "--check", "."),
        ("-m", "mypy"),
        ("tools/check_layers.py",),
        ("tools/check_file_length.py",),
    ],
    ids=lambda c: " ".join(c[:3]),
)
def test_check_passes(command: tuple[str, ...]) -> None:
    result = run(sys.executable, *command)
    assert result.returncode == 0, result.stdout + result.stderr


def test_cxx_is_formatted() -> None:
    files = run("git", "ls-files", "*.h", "*.cpp", "*.cu").stdout.split()
    assert files
    clang_format = Path(sys.executable).with_name("clang-format")
    result = run(str(clang_format), "--dry-run", "-Werror", *files)
    assert result.returncode == 0, result.stderr[-3000:]


def test_import_is_light() -> None:
    heavy = "torch", "transformers", "pyarrow", "scipy", "matplotlib", "jinja2"
    code = f"import sys, fairopt; print([m for m in {heavy!r} if m in sys.modules])"
    assert run(sys.executable, "-c", code).stdout.strip() == "[]"


def test_layers_check_sees_a_wrong_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sys.path.insert(0, str(ROOT / "tools"))
    import check_layers

    room = tmp_path / "python" / "fairopt" / "benchmarks"
    room.mkdir(parents=True)
    (room / "bad.py").write_text("def f():\n    from fairopt.compress import recipe\n")
    monkeypatch.setattr(check_layers, "ROOT", tmp_path)
    monkeypatch.setattr(check_layers, "PACKAGE", tmp_path / "python" / "fairopt")
    assert list(check_layers.python_violations()) == [
        "python/fairopt/benchmarks/bad.py:2: benchmarks must not import fairopt.compress"
    ]
