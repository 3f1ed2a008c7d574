"""Rows of a benchmark's file with their place in it: a malformed one is named before any model runs."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from fairopt.errors import InputError

T = TypeVar("T")


@dataclass(frozen=True)
class Row:
    """Fields that are checked when they are read."""

    benchmark: str
    place: str  # "'bbq/data/Age.jsonl', line 3"
    fields: Mapping[str, Any]

    def text(self, field: str) -> str:
        """A text that is not blank."""
        value = self._value(field)
        if not isinstance(value, str) or not value.strip():
            raise self.error(field, "text that is not blank", value)
        return value

    def name(self, field: str) -> str:
        """A text that is not blank, or a whole number or a truth value written as one: labels, groups, ids."""
        value = self._value(field)
        return str(value) if isinstance(value, int) else self.text(field)

    def whole(self, field: str) -> int:
        """A whole number, zero or more."""
        value = self._value(field)
        if type(value) is not int or value < 0:
            raise self.error(field, "a whole number, zero or more", value)
        return value

    def number(self, field: str) -> float:
        """A finite number, or a text that is one."""
        value = self._value(field)
        try:
            found = float(value)
        except (TypeError, ValueError):
            found = math.nan
        if not math.isfinite(found):
            raise self.error(field, "a number", value)
        return found

    def one_of(self, field: str, allowed: Sequence[T]) -> T:
        """One of a few values."""
        value = self._value(field)
        for known in allowed:
            if type(value) is type(known) and value == known:
                return known
        raise self.error(field, f"one of {', '.join(map(repr, allowed))}", value)

    def texts(self, field: str) -> list[str]:
        """A list of texts, which may be blank."""
        value = self._value(field)
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            raise self.error(field, "a list of texts", value)
        return value

    def row(self, field: str) -> Row:
        """A nested object."""
        return Row(self.benchmark, f"{field} of {self.place}", self._object(field, self._value(field)))

    def rows(self, field: str) -> list[Row]:
        """A list of nested objects."""
        value = self._value(field)
        if not isinstance(value, list):
            raise self.error(field, "a list", value)
        entries = [(f"{field}[{index}]", entry) for index, entry in enumerate(value)]
        return [Row(self.benchmark, f"{name} of {self.place}", self._object(name, entry)) for name, entry in entries]

    def error(self, field: str, requirement: str, value: object) -> InputError:
        """What to raise for a value that will not do."""
        return InputError(f"{self.benchmark}: {field} in {self.place} must be {requirement}, got {value!r}")

    def _value(self, field: str) -> Any:
        if field not in self.fields:
            raise InputError(
                f"{self.benchmark}: {self.place} must have a field {field!r}, got {', '.join(map(str, self.fields))}"
            )
        return self.fields[field]

    def _object(self, field: str, value: Any) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            raise self.error(field, "an object", value)
        return value


def read_json(benchmark: str, path: Path) -> Row:
    """The one object of a JSON file."""
    return Row(benchmark, repr(str(path)), _parsed(benchmark, repr(str(path)), read_text(benchmark, path)))


def read_json_rows(benchmark: str, path: Path) -> Iterator[Row]:
    """The objects of a JSON file that is one list of them, counted from 1."""
    try:
        entries = json.loads(read_text(benchmark, path))
    except ValueError as error:
        raise InputError(f"{benchmark}: {str(path)!r} must be JSON, got {error}") from None
    if not isinstance(entries, list):
        raise InputError(f"{benchmark}: {str(path)!r} must be a JSON list, got {type(entries).__name__}")
    for number, entry in enumerate(entries, start=1):
        place = f"{str(path)!r}, entry {number}"
        if not isinstance(entry, dict):
            raise InputError(f"{benchmark}: {place} must be a JSON object, got {entry!r}")
        yield Row(benchmark, place, entry)


def read_jsonl(benchmark: str, path: Path) -> Iterator[Row]:
    """One object a line; blank lines are passed over."""
    for number, line in enumerate(read_text(benchmark, path).split("\n"), start=1):
        if line.strip():
            place = f"{str(path)!r}, line {number}"
            yield Row(benchmark, place, _parsed(benchmark, place, line))


def read_lines(benchmark: str, path: Path) -> Iterator[Row]:
    """Lines of plain text, each as the field ``line``; blank lines are passed over."""
    for number, line in enumerate(read_text(benchmark, path).split("\n"), start=1):
        if line.strip():
            yield Row(benchmark, f"{str(path)!r}, line {number}", {"line": line})


def read_csv(benchmark: str, path: Path, *, delimiter: str = ",", columns: Sequence[str] = ()) -> Iterator[Row]:
    """Rows below a head of column names; with ``columns`` the file has none. A row of another length is refused."""
    text = io.StringIO(
        read_text(benchmark, path), newline=""
    )  # a line ends at \r and \n only, and may go on within quotes
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    place = f"{str(path)!r}, line {{}}"
    try:
        head = list(columns) or next(reader, [])
        if len(set(head)) < len(head) or not head:
            raise InputError(f"{benchmark}: the head of {str(path)!r} must be distinct column names, got {head}")
        start = reader.line_num + 1
        for values in reader:
            if values and len(values) != len(head):
                where = place.format(start)
                raise InputError(f"{benchmark}: {where} must have {len(head)} fields, got {len(values)}")
            if values:
                yield Row(benchmark, place.format(start), dict(zip(head, values, strict=True)))
            start = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"{benchmark}: {place.format(reader.line_num)} must be well-formed CSV, got {error}") from None


def read_parquet(benchmark: str, path: Path) -> Iterator[Row]:
    """Rows of a Parquet file, counted from 1."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows = pq.ParquetFile(path).read().to_pylist()
    except OSError as error:
        raise InputError(f"{benchmark}: {str(path)!r} must be a readable file, got {error}") from None
    except pa.ArrowException as error:
        raise InputError(f"{benchmark}: {str(path)!r} must be a Parquet file, got {error}") from None
    for number, fields in enumerate(rows, start=1):
        yield Row(benchmark, f"{str(path)!r}, row {number}", fields)


def read_text(benchmark: str, path: Path) -> str:
    """The whole of a UTF-8 file, without a byte order mark."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{benchmark}: {str(path)!r} must be a readable file, got {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{benchmark}: {str(path)!r} must be UTF-8, got {error}") from None


def _parsed(benchmark: str, place: str, text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise InputError(f"{benchmark}: {place} must be JSON, got {error}") from None
    if not isinstance(value, dict):
        raise InputError(f"{benchmark}: {place} must be a JSON object, got {text[:40]!r}")
    return value
