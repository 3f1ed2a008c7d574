"""fairopt: compress a language model, and prove what that did to bias against the uncompressed baseline.

The names below are the whole surface. They are imported when first used, so that ``import fairopt`` stays
fast: torch and transformers cost seconds.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fairopt import _core as _core
    from fairopt import data, formats, hf, metrics, nn, ops, phantom, stats
    from fairopt.audit.audit import audit
    from fairopt.audit.run import Run, open_run
    from fairopt.compress.compress import compress
    from fairopt.compress.interchange import export
    from fairopt.compress.on_disk import compress_folder
    from fairopt.compress.record import Record, record
    from fairopt.compress.storage import load, save

__version__ = "0.1.0"

# name -> module that defines it; a name equal to its module's last part is the module itself.
_HOME = {
    "Record": "fairopt.compress.record",
    "Run": "fairopt.audit.run",
    "audit": "fairopt.audit",
    "compress": "fairopt.compress",
    "compress_folder": "fairopt.compress.on_disk",
    "data": "fairopt.data",
    "export": "fairopt.compress.interchange",
    "formats": "fairopt.formats",
    "hf": "fairopt.hf",
    "load": "fairopt.compress.storage",
    "metrics": "fairopt.metrics",
    "nn": "fairopt.nn",
    "open_run": "fairopt.audit.run",
    "ops": "fairopt.ops",
    "phantom": "fairopt.phantom",
    "record": "fairopt.compress.record",
    "save": "fairopt.compress.storage",
    "stats": "fairopt.stats",
}

__all__ = [
    "Record",
    "Run",
    "audit",
    "compress",
    "compress_folder",
    "data",
    "export",
    "formats",
    "hf",
    "load",
    "metrics",
    "nn",
    "open_run",
    "ops",
    "phantom",
    "record",
    "save",
    "stats",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'fairopt' has no attribute {name!r}")
    module = importlib.import_module(_HOME[name])
    value = module if _HOME[name] == f"fairopt.{name}" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, *_HOME, "__version__"})
