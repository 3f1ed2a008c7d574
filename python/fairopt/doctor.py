"""What this installation can do, found by trying it."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fairopt.benchmarks import Source

PACKAGES = ("torch", "transformers", "safetensors", "numpy", "pyarrow")


@dataclass(frozen=True)
class Finding:
    """One line of ``fairopt doctor``."""

    name: str
    value: str
    works: bool = True


def diagnose(data: Path | None = None) -> list[Finding]:
    """Versions, instruction sets, operators, threads, the state of CUDA, and which benchmarks have their data."""
    found = [_version("fairopt"), Finding("python", f"{platform.python_version()} on {platform.platform()}")]
    found += [_version(package) for package in PACKAGES]
    found += [
        _tried("instruction sets", _instruction_sets),
        _tried("products", _products),
        _tried("torch operators", _operators),
        _tried("threads", _threads),
        _tried("CUDA", _cuda),
    ]
    return [*found, *_benchmarks(data)]


def _version(package: str) -> Finding:
    try:
        return Finding(package, metadata.version(package))
    except metadata.PackageNotFoundError:
        if package == "fairopt":  # run from its source tree
            import fairopt

            return Finding(package, fairopt.__version__)
        return Finding(package, "not installed", works=False)


def _tried(name: str, probe: Callable[[], str]) -> Finding:
    """What ``probe`` says; an extension that does not load is a finding, not a crash of the doctor."""
    try:
        return Finding(name, probe())
    except (ImportError, OSError, AttributeError) as error:
        return Finding(name, " ".join(str(error).split()), works=False)


def _instruction_sets() -> str:
    from fairopt import _core

    forced = os.environ.get("FAIROPT_CPU_CAPABILITY")
    why = f" (forced by FAIROPT_CPU_CAPABILITY={forced})" if forced else ""
    return f"{_core.cpu_capability()} in use{why}; available: {', '.join(_core.cpu_capabilities())}"


def _products() -> str:
    from fairopt import _core

    chosen = {format: _core.default_matmul_mode(format) for format in ("int4_sym", "int8", "nf4", "fp4")}
    return ", ".join(f"{f} {mode} (bf16: {_core.default_matmul_mode(f, True)})" for f, mode in chosen.items())


def _operators() -> str:
    from fairopt import ops

    return ", ".join(ops.__all__)


def _threads() -> str:
    import torch

    return f"{torch.get_num_threads()} of {os.cpu_count()} processors (torch)"


def _cuda() -> str:
    import torch

    from fairopt import _core

    devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return f"{_core.cuda_status()}; torch sees {devices} device{'' if devices == 1 else 's'}"


def _files(name: str, source: Source, folder: Path) -> str:
    there = [file for file in source.files if (folder / file).is_file()]
    missing = [file for file in source.files if file not in there]
    if not missing:
        return "found"
    if there and not source.whole:
        return f"found {', '.join(there)}"
    get = (
        f"fairopt data fetch {name}"
        if any(file in source.urls for file in missing)
        else f"official home: {source.home}"
    )
    return f"missing {missing[0]}{f' and {len(missing) - 1} more' if missing[1:] else ''}; {get}"


def _benchmarks(data: Path | None) -> list[Finding]:
    from fairopt.benchmarks import NAMES, data_folder, get

    folder = data_folder(data)
    found = [Finding("data", str(folder))]
    for name in NAMES:
        source = get(name).source
        found.append(Finding(name, _files(name, source, folder) if source and source.files else "built in"))
    return found
