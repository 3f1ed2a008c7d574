"""docs/evidence.md: every id has a row, every test that a row names is there, every row has a peer or a reason."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import pytest
from test_benchmark_properties import LEVELS

from fairopt import benchmarks
from fairopt.metrics import metric

TESTS = Path(__file__).parent
PAGE = TESTS.parents[1] / "docs" / "evidence.md"
COLUMNS = ("ids", "golden vector", "range and properties", "peer, or why none", "published number")
TEST = re.compile(r"`(test_\w+\.py)::(test_\w+)`")
FRAME = "fairopt.metrics.frame"
EVERYONE = (*benchmarks.NAMES, *LEVELS, FRAME)


@dataclass(frozen=True)
class Row:
    patterns: tuple[str, ...]
    golden: str
    properties: str
    peer: str
    published: str


def rows_of(page: str) -> Iterator[Row]:
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")]
        if line.startswith("| `"):
            assert len(cells) == len(COLUMNS), f"docs/evidence.md: a row must have {len(COLUMNS)} cells: {line}"
            yield Row(tuple(re.findall(r"`([^`]+)`", cells[0])), *cells[1:])


def wanting(row: Row) -> Iterator[str]:
    """What a row lacks."""
    if not TEST.search(row.golden):
        yield "a golden vector: name the test that works it by hand"
    if not TEST.search(row.properties) and "General" not in row.properties:
        yield "a range check: say General, or name the tests of its range and properties"
    if not TEST.search(row.peer) and not re.match(r"none\b.*: \S+( \S+){2,}", row.peer):
        yield "a peer: name the test that compares with one, or write 'none: ' and why there is none"
    if not row.published:
        yield "the published number: name the test that reproduces it, or say why none does"


def ids(name: str) -> list[str]:
    if name == FRAME:
        return list(metric.NAMES)
    benchmark = benchmarks.get(name)
    return [entry.id.partition("?")[0] for entry in (*benchmark.metrics, *benchmark.scores)]


ROWS = tuple(rows_of(PAGE.read_text(encoding="utf-8")))


@cache
def functions(file: str) -> frozenset[str]:
    path = TESTS / file
    tree = ast.parse(path.read_text(encoding="utf-8")) if path.exists() else ast.Module([], [])
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("name", EVERYONE)
def test_every_id_has_a_row(name: str) -> None:
    without = [own for own in ids(name) if not any(fnmatchcase(own, p) for row in ROWS for p in row.patterns)]
    assert not without, f"docs/evidence.md: add a row (or a pattern to one) for {', '.join(without)}"


def test_every_row_is_about_an_id() -> None:
    known = [own for name in EVERYONE for own in ids(name)]
    idle = [p for row in ROWS for p in row.patterns if not any(fnmatchcase(own, p) for own in known)]
    assert not idle, f"docs/evidence.md: no benchmark has {', '.join(idle)}: correct or drop it"


def test_every_test_that_is_named_is_there() -> None:
    named = TEST.findall(PAGE.read_text(encoding="utf-8"))
    assert len(named) > len(ROWS)
    gone = [f"{file}::{function}" for file, function in named if function not in functions(file)]
    assert not gone, f"docs/evidence.md: tests/python has no {', '.join(gone)}: name the test that took its place"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.patterns[0])
def test_every_row_has_its_evidence(row: Row) -> None:
    assert not list(wanting(row)), f"docs/evidence.md: {', '.join(row.patterns)} lacks {'; '.join(wanting(row))}"


def test_a_row_without_evidence_is_told() -> None:
    (row,) = rows_of("| `a/b` | by hand | it holds | none | |\n| no row |")
    assert row.patterns == ("a/b",)
    assert [found.partition(":")[0] for found in wanting(row)] == [
        "a golden vector",
        "a range check",
        "a peer",
        "the published number",
    ]
    (full,) = rows_of("| `a` `b/*` | `test_x.py::test_y` | General | none: the set is ours | none is published |")
    assert full.patterns == ("a", "b/*")
    assert not list(wanting(full))
    assert "test_every_id_has_a_row" in functions("test_evidence.py")
    assert not functions("test_no_such_file.py")
