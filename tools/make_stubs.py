"""Write python/fairopt/_core.pyi from the compiled extension, so that the types users see are those of the binding.

With --check nothing is written: exit 1 and a diff when the committed file is not what would be written.
"""

from __future__ import annotations

import difflib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STUB = ROOT / "python" / "fairopt" / "_core.pyi"

# What pybind11 cannot say about element types, mypy --strict wants said.
BARE_GENERICS = {
    r"\bdict\b(?!\[)": "dict[str, typing.Any]",
    r"\blist\b(?!\[)": "list[typing.Any]",
    r"\btuple\b(?!\[)": "tuple[typing.Any, ...]",
}


def strict(stub: str) -> str:
    lines = stub.splitlines(keepends=True)
    for i, line in enumerate(lines):
        if line.startswith("def "):
            for bare, full in BARE_GENERICS.items():
                lines[i] = re.sub(bare, full, lines[i])
    return "".join(lines)


def generate() -> str:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pybind11_stubgen", "fairopt._core", "-o", folder, "--exit-code"]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        if made.returncode != 0:
            raise SystemExit(f"make_stubs: pybind11-stubgen must succeed, got:\n{made.stdout}{made.stderr}")
        stub = (Path(folder) / "fairopt" / "_core.pyi").read_text(encoding="utf-8")
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", "_core.pyi", "-"]
    return subprocess.run(command, cwd=ROOT, input=strict(stub), capture_output=True, text=True, check=True).stdout


def main() -> int:
    fresh = generate()
    if "--check" not in sys.argv[1:]:
        STUB.write_text(fresh, encoding="utf-8")
        return 0
    committed = STUB.read_text(encoding="utf-8")
    sys.stdout.writelines(
        difflib.unified_diff(committed.splitlines(True), fresh.splitlines(True), "committed", "from the extension")
    )
    return committed != fresh


if __name__ == "__main__":
    sys.exit(main())
