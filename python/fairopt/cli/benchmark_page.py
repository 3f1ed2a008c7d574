"""``fairopt list benchmarks NAME``: one benchmark in full."""

from __future__ import annotations

import textwrap
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from fairopt.errors import MissingData

if TYPE_CHECKING:
    from fairopt.benchmarks import Benchmark, Metric, Source


def benchmark_page(name: str, data: Path | None) -> dict[str, Any]:
    """All that a benchmark declares, its files and, where its data is there, its groups."""
    from fairopt.benchmarks import data_folder, get
    from fairopt.benchmarks.about import asks, needs

    benchmark = get(name)
    source = benchmark.source
    return {
        "benchmark": benchmark.name,
        "title": benchmark.title,
        "version": benchmark.version,
        "asks for": asks(benchmark.ask),
        "needs": needs(benchmark),
        "items": benchmark.n_items,
        "requests": benchmark.n_requests,
        "factors": {
            factor: {"meaning": choice.meaning, "levels": str(choice)} for factor, choice in benchmark.factors.items()
        },
        "metrics": {metric.id: _metric(metric) for metric in benchmark.metrics},
        "scores": {score.id: {"title": score.title, "ideal": f"{score.ideal:g}"} for score in benchmark.scores},
        "slices": list(benchmark.slices),
        **_groups(benchmark, data),
        "licence": source.licence if source else "part of fairopt",
        "home": source.home if source else "part of fairopt",
        "files": _files(source, data_folder(data)) if source else {},
        "caveats": list(benchmark.caveats),
    }


def _metric(metric: Metric) -> dict[str, str]:
    limits = f"a group gated at {metric.group_margin:g}"
    if metric.everyone:
        limits = f"gated at {metric.margin:g}, a group at {metric.group_margin:g}"
    return {
        "title": metric.title,
        "unit": metric.unit,
        "range": "{:g} to {:g}".format(*metric.range),
        "harmful": metric.harm,
        "role": limits if metric.gated else "described",
    }


def _groups(benchmark: Benchmark, data: Path | None) -> dict[str, Any]:
    try:
        items = benchmark.items(data)
    except MissingData as error:
        return {"groups": {}, "groups are not known": str(error)}
    counted = Counter(f"{item.axis}: {item.group}" if item.axis else item.group for item in items)
    return {"groups": {group: {"items": str(n)} for group, n in counted.items()}}


def _files(source: Source, folder: Path) -> dict[str, dict[str, str]]:
    return {
        file: {
            "state": "found" if (folder / file).is_file() else "missing",
            "sha256": digest or "not known",
            "from": source.urls.get(file, "by hand"),
        }
        for file, digest in source.files.items()
    }


def print_page(page: dict[str, Any]) -> None:
    """For people: a paragraph a field, none for an empty one."""
    for field, value in page.items():
        if isinstance(value, dict):
            lines = [f"{name}  {_said(parts)}" for name, parts in value.items()]
        elif isinstance(value, list):
            lines = value
        else:
            typer.echo(f"{field}: {value:,}" if isinstance(value, int) else f"{field}: {value}")
            continue
        if lines:
            typer.echo(f"{field}:")
        for line in lines:
            typer.echo(
                textwrap.fill(
                    line,
                    110,
                    initial_indent="  ",
                    subsequent_indent="      ",
                    break_long_words=False,
                    break_on_hyphens=False,
                )
            )


def _said(parts: dict[str, str]) -> str:
    plain = ("title", "meaning", "role", "state")
    return "; ".join(value if key in plain else f"{key} {value}" for key, value in parts.items())
