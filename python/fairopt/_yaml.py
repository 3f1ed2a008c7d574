"""YAML as plain data, each key once."""

from __future__ import annotations

from typing import Any

import yaml


def strict_yaml(text: str) -> Any:
    """What a text says. A key that stands twice is an error, not a replacement of the first.

    Raises ``yaml.YAMLError``, or ``ValueError`` for such a key.
    """
    return yaml.load(text, Loader=_Loader)


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The pairs as a mapping; ``ValueError`` for a key that stands twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} twice")
    return found


class _Loader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        once([(str(self.construct_object(key, deep=True)), value) for key, value in node.value])
        return super().construct_mapping(node, deep)
