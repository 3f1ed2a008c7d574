"""Reading a policy file: YAML, TOML or JSON as plain data, each key once."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from fairopt._yaml import once, strict_yaml
from fairopt.errors import InputError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def read(path: Path) -> Any:
    """What the file says. Raises :class:`~fairopt.errors.InputError` for one that is not what its ending says."""
    readers: dict[str, Callable[[str], Any]] = {
        ".yaml": strict_yaml,
        ".yml": strict_yaml,
        ".toml": tomllib.loads,
        ".json": lambda text: json.loads(text, object_pairs_hook=once),
    }
    if path.suffix not in readers:
        raise InputError(f"policy: the file must end in {', '.join(readers)}, got {str(path)!r}")
    try:
        return readers[path.suffix](path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise InputError(f"policy: {str(path)!r} must be a {path.suffix[1:]} file, got {error}") from None
