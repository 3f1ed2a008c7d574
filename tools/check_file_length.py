"""Files stay under 400 lines and functions under 50: longer ones hold more than one idea."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAX_FILE, MAX_FUNCTION = 400, 50
SUFFIXES = {".py", ".h", ".cpp", ".cu", ".cuh", ".cmake", ".sh", ".js", ".css", ".j2"}


def tracked() -> Iterator[Path]:
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\n")
    yield from (ROOT / name for name in names if Path(name).suffix in SUFFIXES and (ROOT / name).exists())


def long_functions(path: Path, text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > MAX_FUNCTION:
                yield f"{path.relative_to(ROOT)}:{node.lineno}: {node.name} has {length} lines, at most {MAX_FUNCTION}"


def main() -> int:
    found = []
    for path in tracked():
        text = path.read_text(encoding="utf-8")
        lines = text.count("\n")
        if lines > MAX_FILE:
            found.append(f"{path.relative_to(ROOT)}: {lines} lines, at most {MAX_FILE}")
        if path.suffix == ".py":
            found.extend(long_functions(path, text))
    print("\n".join(found) or "file length: every file and function is short enough")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
