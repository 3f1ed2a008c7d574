"""A benchmark that a YAML file defines: its items, prompt, score and groups.

``benchmark.schema.json`` beside this module says what the file may hold; docs/audit.md, "Your own benchmark", has a
whole example. Texts have named slots (:mod:`fairopt.benchmarks.own.slots`) for the fields of a row.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from fairopt._yaml import strict_yaml
from fairopt.benchmarks.base import Item
from fairopt.benchmarks.own.own_file import READERS
from fairopt.benchmarks.own.slots import Slots
from fairopt.benchmarks.rows import Row
from fairopt.errors import InputError

Requests = Sequence[tuple[str, str]]
Fields = Mapping[str, str | int | float]
_OP = "own_benchmark"
_ABOUT = ("title", "version", "licence", "home", "caveats", "items")  # what changes no number of the same items


@dataclass(frozen=True)
class Definition:
    """What a file says, checked."""

    path: Path
    said: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What metric ids begin with."""
        return str(self.said["name"])

    @property
    def score(self) -> Mapping[str, Any]:
        """The kind of score and its options."""
        score: Mapping[str, Any] = self.said["score"]
        return score

    @property
    def version(self) -> str:
        """The file's own, and a hash of all in it that decides how answers are read."""
        decisive = {key: value for key, value in self.said.items() if key not in _ABOUT}
        digest = hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()
        return f"{self.said.get('version', '1')}+{digest[:8]}"

    def slots(self, field: str, text: str) -> Slots:
        """A text of the file, taken apart; ``field`` is its place in the file."""
        return Slots.parse(f"{_OP}: {field} in {str(self.path)!r}", text)

    def rows(self) -> Sequence[Row]:
        """The rows, of the file itself or the one that it names, relative to it.

        Raises :class:`~fairopt.errors.InputError` naming file and line, or the number of the entry.
        """
        items = self.said["items"]
        if not isinstance(items, str):
            return [Row(_OP, f"{str(self.path)!r}, items[{n}]", fields) for n, fields in enumerate(items)]
        table = self.path.parent / Path(items).expanduser()
        found = list(READERS[table.suffix.lower()](_OP, table))
        if not found:
            raise InputError(f"{_OP}: {str(table)!r} must hold at least one row, got none")
        return found

    def items(self, ask: Callable[[Row], tuple[Requests, Fields]]) -> list[Item]:
        """One item a row, with the requests and fields that ``ask`` makes of it.

        Raises :class:`~fairopt.errors.InputError` naming file, line or entry, and field.
        """
        items: list[Item] = []
        seen: set[str] = set()
        for number, row in enumerate(self.rows()):
            requests, fields = ask(row)
            item_id = self._name(row, "id", f"{number:06d}")
            if item_id in seen:
                raise row.error(self.said["id"], "distinct", item_id)
            seen.add(item_id)
            items.append(
                Item(
                    id=item_id,
                    group=self._name(row, "group"),
                    axis=self.said.get("axis", self.said["group"]),
                    cluster=self._name(row, "cluster", item_id),
                    requests=tuple(requests),
                    fields=fields,
                )
            )
        return items

    def _name(self, row: Row, use: str, otherwise: str = "") -> str:
        return row.name(self.said[use]) if use in self.said else otherwise


def read_definition(path: Path) -> Definition:
    """Read a file. Raises :class:`~fairopt.errors.InputError` naming the file and the field that cannot be used."""
    try:
        said = strict_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{_OP}: {str(path)!r} must be a readable file, got {error.strerror}") from None
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise InputError(f"{_OP}: {str(path)!r} must be YAML, got {' '.join(str(error).split())}") from None
    for field, fault in _faults(said):
        raise InputError(f"{_OP}: {field or 'the whole'} in {str(path)!r} must fit benchmark.schema.json, got {fault}")
    return Definition(path, said)


def _faults(said: Any) -> Iterator[tuple[str, str]]:
    """The worst of what does not fit the schema: where it is, and what is wrong."""
    from jsonschema.exceptions import best_match

    worst = best_match(_validator().iter_errors(said))
    if worst is not None:
        yield worst.json_path.removeprefix("$").removeprefix("."), worst.message


@cache
def _validator() -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(schema())


def schema() -> dict[str, Any]:
    """The JSON Schema of the file."""
    text = Path(__file__).with_name("benchmark.schema.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found
