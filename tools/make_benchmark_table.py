"""Write docs/benchmarks.md from the registry: ``python tools/make_benchmark_table.py [--data DIR]``.

All but the groups is declared by the benchmarks. Groups are in the data: with ``--data`` they are counted there,
without it they stay as the page has them.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from inspect import cleandoc
from pathlib import Path

from fairopt import benchmarks
from fairopt.benchmarks import Benchmark
from fairopt.benchmarks.about import asks, needs
from fairopt.errors import MissingData

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
HEAD = """# Benchmarks

Written by `tools/make_benchmark_table.py` from the registry; `fairopt list benchmark NAME` shows the same with what
your data folder holds. Definitions, sources and worked examples of every id: [metrics.md](metrics.md). No benchmark's
data is part of fairopt: `fairopt data fetch NAME` gets it from its home ([cli.md](cli.md)). Your own data and
benchmarks: [audit.md](audit.md).

*n* is the whole official data at the default levels of the factors: items, and requests to each model. Groups are those
of the data folder that the page was written with, which holds samples of some sets. A metric's limits are the defaults
for all items together and for a group.
"""
MAX_GROUPS = 12  # named; more are counted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="count groups in this folder")
    data = parser.parse_args().data
    known = groups_of_page()
    PAGE.write_text(page(known if data is None else known | groups_of_data(data)), encoding="utf-8")


def page(groups: Mapping[str, str]) -> str:
    """The whole page."""
    found = [benchmarks.get(name) for name in benchmarks.NAMES]
    lines = [HEAD, *table(found, groups)]
    for benchmark in found:
        lines += ["", *section(benchmark)]
    return "\n".join(lines) + "\n"


def groups_of_page() -> dict[str, str]:
    """The groups column of the page as it is."""
    if not PAGE.exists():
        return {}
    rows = (line.split(" | ") for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ["))
    return {re.sub(r"\| \[`(.*)`\].*", r"\1", cells[0]): cells[3] for cells in rows}


def groups_of_data(data: Path) -> dict[str, str]:
    """Groups by axis of every benchmark whose data is there."""
    found = {}
    for name in benchmarks.NAMES:
        try:
            items = benchmarks.get(name).items(data)
        except MissingData as missing:
            print(missing, file=sys.stderr)
            continue
        axes: dict[str, list[str]] = {}
        for item in items:
            axes.setdefault(item.axis, []).append(item.group)
        found[name] = "; ".join(cell(named(axis, list(dict.fromkeys(own)))) for axis, own in axes.items())
    return found


def named(axis: str, groups: Sequence[str]) -> str:
    listed = ", ".join(groups) if len(groups) <= MAX_GROUPS else f"{len(groups)} groups"
    return f"{axis}: {listed}" if axis else listed


def table(found: Sequence[Benchmark], groups: Mapping[str, str]) -> Iterator[str]:
    columns = ("benchmark", "what", "n", "groups", "gated ids", "licence", "home")
    yield f"| {' | '.join(columns)} |"
    yield "|---" * len(columns) + "|"
    for benchmark in found:
        source = benchmark.source
        cells = (
            f"[`{benchmark.name}`](#{benchmark.name})",
            cell(benchmark.title),
            f"{benchmark.n_items:,} items, {benchmark.n_requests:,} requests",
            groups.get(benchmark.name, "see its home"),
            ", ".join(f"`{metric.id}`" for metric in benchmark.metrics if metric.gated) or "none",
            cell(source.licence if source else "part of fairopt"),
            cell(source.home if source else "part of fairopt"),
        )
        yield f"| {' | '.join(cells)} |"


def section(benchmark: Benchmark) -> Iterator[str]:
    yield f"## {benchmark.name}"
    yield ""
    yield f"**{benchmark.title}**. {about(benchmark)}"
    yield ""
    yield f"Asks for: {asks(benchmark.ask)}. Needs: {', '.join(needs(benchmark))}. Version {benchmark.version}."
    yield ""
    yield "| id | what | unit, range | harmful | limit: all / a group |"
    yield "|---|---|---|---|---|"
    for metric in benchmark.metrics:
        everyone = f"{metric.margin:g}" if metric.everyone else "–"
        limit = f"{everyone} / {metric.group_margin:g}" if metric.gated else "described"
        low, high = metric.range
        yield (
            f"| `{metric.id}` | {cell(metric.title)} | {metric.unit}, {low:g} to {high:g} | {metric.harm} | {limit} |"
        )
    for score in benchmark.scores:
        low, high = score.range
        yield f"| `{score.id}` | {cell(score.title)} | {low:g} to {high:g} | ideal {score.ideal:g} | described |"
    yield ""
    if benchmark.factors:
        yield "Factors (the default first):"
        yield ""
        for name, factor in benchmark.factors.items():
            yield f"* `{name}`: {factor.meaning}: {factor}"
        yield ""
    yield from files(benchmark)
    yield "Caveats:"
    yield ""
    for caveat in benchmark.caveats:
        yield f"* {caveat}"


def files(benchmark: Benchmark) -> Iterator[str]:
    source = benchmark.source
    if source is None or not source.files:
        return
    known = sum(digest is not None for digest in source.files.values())
    any_of = "" if source.whole else ", any of which will do"
    yield (
        f"Files: {len(source.files)}{any_of}; {len(source.urls)} by `fairopt data fetch {benchmark.name}`, the others"
        f" by hand; the checksums of {known} are known."
    )
    yield ""


def about(benchmark: Benchmark) -> str:
    """The first paragraph of its module, as Markdown."""
    said = cleandoc(sys.modules[type(benchmark).__module__].__doc__ or "").partition("\n\n")[0]
    said = re.sub(r":\w+:`~?([\w.]+)`", lambda match: f"`{match[1].rpartition('.')[2]}`", said)
    return " ".join(said.replace("``", "`").replace(r"\\n", r"\n").split())


def cell(text: str) -> str:
    return text.replace("|", r"\|")


if __name__ == "__main__":
    main()
