"""Who may know whom (docs/architecture.md), read from the imports and includes of every file.

Exit 1 and one line a violation. Imports inside functions count: a lazy import is an import.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "python" / "fairopt"

# room -> rooms it may import. "errors", "progress", "_arrays", "_callable" and "_yaml" are open to all.
OPEN = {"errors", "progress", "_arrays", "_callable", "_yaml", "_core", "__init__"}
PYTHON: dict[str, set[str]] = {
    "errors": set(),
    "progress": set(),
    "_arrays": set(),
    "_callable": set(),
    "_yaml": set(),
    "ops": set(),
    "formats": set(),
    "stats": set(),
    "metrics": {"stats"},
    "nn": {"ops", "formats"},
    "compress": {"ops", "formats", "nn"},
    "hf": {"compress", "nn", "ops"},
    "models": {"ops", "formats", "nn", "phantom"},
    "phantom": {"models"},
    "scorers": {"metrics", "models"},
    "benchmarks": {"metrics", "phantom", "scorers", "stats"},
    "report": {"audit.result"},
    "audit": {"benchmarks", "compress", "metrics", "models", "report", "scorers", "stats"},
    "data": {"benchmarks"},
    "doctor": {"ops", "benchmarks"},
    "cli": {"audit", "benchmarks", "compress", "data", "doctor", "formats", "metrics", "models", "report", "scorers"},
    "__init__": {
        "audit",
        "benchmarks",
        "compress",
        "data",
        "formats",
        "hf",
        "metrics",
        "nn",
        "ops",
        "phantom",
        "stats",
    },
    "__main__": {"cli"},
}

# folder -> what its quoted includes may start with, and which other libraries it may include
CXX: dict[str, tuple[str, ...]] = {
    "cpp/include/fairopt": ("fairopt/",),
    "cpp/src/kernels/cpu": ("kernels/",),
    "cpp/src/kernels": ("fairopt/", "kernels/"),
    "cpp/src/runtime": ("fairopt/", "kernels/", "runtime/"),
    "cpp/src/stats": ("fairopt/", "stats/"),
    "cpp/src/metrics": ("fairopt/", "metrics/", "stats/"),
    "cpp/src/compress": ("fairopt/", "compress/", "kernels/", "runtime/"),
    "bindings": ("fairopt/", "bind", "torch_"),
}
LIBRARIES = {"torch": ("bindings/torch_",), "pybind11": ("bindings/bind", "bindings/module"), "Eigen": ("cpp/src/",)}
STANDARD_IN_ISA = {"cstdint", "cstddef", "immintrin.h"}


def room(module: str) -> str:
    """``fairopt.audit.result`` -> ``audit.result`` (its own room) or the first part below ``fairopt``."""
    parts = module.split(".")[1:]
    if parts[:2] == ["audit", "result"]:
        return "audit.result"
    if parts[-1:] == ["__main__"]:
        return "__main__"  # of a package too: it is the command line under another name
    return parts[0] if parts else "__init__"


def imported(tree: ast.AST, package: list[str]) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, [base, node.module]))
            # `from fairopt import x` imports the room x, not the package itself.
            yield from ((node.lineno, f"{module}.{a.name}" if module == "fairopt" else module) for a in node.names)


def python_violations() -> Iterator[str]:
    for path in sorted(PACKAGE.rglob("*.py")):
        package = ["fairopt", *path.relative_to(PACKAGE).parent.parts]
        own = room(".".join(["fairopt", *path.relative_to(PACKAGE).with_suffix("").parts]))
        allowed = OPEN | PYTHON.get(own.split(".")[0], set()) | {own.split(".")[0]}
        if own.split(".")[0] not in PYTHON:
            yield f"{path.relative_to(ROOT)}: room {own!r} is not in tools/check_layers.py"
        for line, module in imported(ast.parse(path.read_text(encoding="utf-8")), package):
            if module.split(".")[0] != "fairopt":
                continue
            target = room(module)
            if target not in allowed and target.split(".")[0] not in allowed:
                yield f"{path.relative_to(ROOT)}:{line}: {own} must not import {module}"


def cxx_files() -> Iterator[Path]:
    for folder in ("cpp", "bindings"):
        yield from sorted(p for p in (ROOT / folder).rglob("*") if p.suffix in {".h", ".cpp", ".cu", ".cuh"})


def cxx_violations() -> Iterator[str]:
    for path in cxx_files():
        name = path.relative_to(ROOT).as_posix()
        folder = next((f for f in sorted(CXX, key=len, reverse=True) if name.startswith(f + "/")), None)
        for line, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', text)
            if not match:
                continue
            quote, target = match.groups()
            if quote == '"' and folder and not target.startswith(CXX[folder]):
                yield f'{name}:{line}: must not include "{target}"'
            for library, homes in LIBRARIES.items():
                if target.startswith(library + "/") and not name.startswith(homes):
                    yield f"{name}:{line}: only {', '.join(homes)} may include {library}"
            if quote == "<" and folder == "cpp/src/kernels/cpu" and target not in STANDARD_IN_ISA:
                yield f"{name}:{line}: ISA files include only {', '.join(sorted(STANDARD_IN_ISA))}, got <{target}>"


def main() -> int:
    violations = [*python_violations(), *cxx_violations()]
    print("\n".join(violations) or "layers: every import and include goes the right way")
    return bool(violations)


if __name__ == "__main__":
    sys.exit(main())
