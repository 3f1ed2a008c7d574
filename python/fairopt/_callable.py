"""A package that can be called like the function it is named after.

``fairopt.compress`` is a package and, on the surface, a function: ``fo.compress(model, "nf4")``. Python binds
the package to that name whenever one of its modules is imported, so a function put there would come and go.
Making the package callable keeps one name with one meaning.
"""

from __future__ import annotations

import sys
from types import ModuleType


def make_callable(package: str, module: str, function: str) -> None:
    """Let calls of ``package`` go to ``module.function``, imported at the first call."""

    class CallablePackage(ModuleType):
        def __call__(self, *args: object, **kwargs: object) -> object:
            import importlib

            return getattr(importlib.import_module(module), function)(*args, **kwargs)

    sys.modules[package].__class__ = CallablePackage
