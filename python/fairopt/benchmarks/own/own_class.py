"""Your own benchmark as a Python class: ``python:MODULE:ATTRIBUTE`` or ``python:PATH.py:ATTRIBUTE``.

The attribute is a :class:`~fairopt.benchmarks.Benchmark`, an instance or a class that is made without arguments.
Naming it runs the code of its module, so that is only ever done for a name that the user gave: a run's folder that
holds such a name does not load it (:func:`fairopt.benchmarks.get_stored`).
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from copy import copy
from pathlib import Path
from types import ModuleType

from fairopt.benchmarks.base import Benchmark
from fairopt.errors import InputError

_LOADED: dict[str, Benchmark] = {}


def is_loaded(name: str) -> bool:
    """Whether this process was given that name before."""
    return name in _LOADED


def own_class(name: str) -> Benchmark:
    """The benchmark of that name; its code is run when it is first named.

    Raises :class:`~fairopt.errors.InputError` for code that cannot be imported, and for what is no benchmark.
    """
    if name not in _LOADED:
        module, _, attribute = name.partition(":")[2].rpartition(":")
        if not module or not attribute:
            raise InputError(f"benchmark: python: must be followed by MODULE:ATTRIBUTE, got {name!r}")
        _LOADED[name] = _benchmark(name, _imported(module), attribute)
    return _LOADED[name]


def _imported(module: str) -> ModuleType:
    try:
        return _from_file(Path(module)) if module.endswith(".py") else importlib.import_module(module)
    except Exception as error:  # the user's code may raise anything
        raise InputError(
            f"benchmark: {module!r} must be a module or a .py file that can be imported, got"
            f" {type(error).__name__}: {error}"
        ) from error


def _from_file(path: Path) -> ModuleType:
    name = f"_fairopt_own_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _benchmark(name: str, module: ModuleType, attribute: str) -> Benchmark:
    found = getattr(module, attribute, None)
    if isinstance(found, type) and issubclass(found, Benchmark):
        found = found()
    if not isinstance(found, Benchmark):
        raise InputError(f"benchmark: {name!r} must be a Benchmark, got {type(found).__name__}")
    named = copy(found)
    named.name = name  # by which a run's folder and other workers find it
    return named
