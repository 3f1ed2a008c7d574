"""Made-up files for the utility controls, and their tables from answers by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from fairopt import benchmarks
from fairopt.benchmarks import Answer, Benchmark, Columns, Item, item_columns
from fairopt.benchmarks.base import Source


def put(folder: Path, name: str, content: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return folder


def lines(*rows: Any) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def unchecked(name: str, **files: None) -> Benchmark:
    """The benchmark without its checksums, for made-up files."""
    benchmark = benchmarks.get(name).at({})
    assert benchmark.source is not None
    named = files or dict.fromkeys(benchmark.source.files)
    benchmark.source = Source("home", "licence", named, whole=benchmark.source.whole)
    return benchmark


def table(benchmark: Benchmark, items: list[Item], answers: list[list[Answer]]) -> Columns:
    rows = [benchmark.evidence(item, own) for item, own in zip(items, answers, strict=True)]
    return {**item_columns(items), **{name: np.array([row[name] for row in rows]) for name in rows[0]}}


def values(benchmark: Benchmark, columns: Columns) -> dict[str, list[float]]:
    return {metric.id: metric.value(columns).tolist() for metric in benchmark.metrics}
