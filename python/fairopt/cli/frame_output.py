"""A frame of group metrics as tables on a terminal, and as JSON, CSV or Markdown."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairopt.errors import InputError
from fairopt.report.text import markdown as escaped
from fairopt.report.text import visible
from fairopt.report.whole import replace_whole

if TYPE_CHECKING:
    from fairopt.metrics import MetricFrame, PairedFrame
    from fairopt.metrics.table import Table

    Found = MetricFrame | PairedFrame

SCHEMA = 1
WIDTH = 160  # of pipes and files: wide enough that no number is broken


def show(found: Found) -> None:
    """Print every table of the frame: coloured on a terminal, plain text elsewhere."""
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDTH, color_system=None)
    for title, table in found.sections().items():
        head, rows = table.shown()
        console.print(Text(title, style="bold"))
        drawn = RichTable(box=box.SIMPLE_HEAD if console.is_terminal else box.ASCII2)
        for cell in head:
            drawn.add_column(Text(visible(cell)))
        for k, row in enumerate(rows):
            drawn.add_row(*(Text(visible(cell)) for cell in row), style="dim" if table.n[k] < table.n_min else "")
        console.print(drawn)
        for note in table.footnotes():
            console.print(Text(visible(note)))
    for finding in found.findings():
        console.print(Text(visible(finding)))


def writer(out: Path) -> Callable[[Path, Found, str], None]:
    """Return what writes a frame as the suffix of ``out`` says. Raises :class:`InputError` for another suffix."""
    forms: dict[str, Callable[[Found, str], str]] = {".json": _json, ".csv": _csv, ".md": _markdown}
    if out.suffix.lower() not in forms:
        raise InputError(f"frame: --out must end in {', '.join(forms)}, got {str(out)!r}")
    form = forms[out.suffix.lower()]
    return lambda path, found, source: replace_whole(path, form(found, source))


def _json(found: Found, source: str) -> str:
    tables = {title: _entries(table) for title, table in found.sections().items()}
    document = {"schema": SCHEMA, "file": source, "signatures": found.signatures}
    document |= {"findings": found.findings(), "tables": tables}
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _entries(table: Table) -> list[dict[str, Any]]:
    """One object a row and metric; a number that is undefined is null beside its note."""
    entries = []
    for name, column in table.columns.items():
        for k, key in enumerate(table.keys):
            numbers = {"value": column.value[k], "low": column.low[k], "high": column.high[k]}
            entries.append(
                {
                    "group": dict(zip(table.features, key, strict=True)),
                    "metric": name,
                    "n": int(table.n[k]),
                    **{what: None if math.isnan(x) else float(x) for what, x in numbers.items()},
                    "note": column.note[k],
                }
            )
    return entries


def _csv(found: Found, _: str) -> str:
    """By group; undefined numbers are empty."""
    rows = found.rows()
    text = io.StringIO()
    table = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    table.writeheader()
    for row in rows:
        table.writerow({k: "" if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()})
    return text.getvalue()


def _markdown(found: Found, source: str) -> str:
    parts = [f"# Metrics by group: {escaped(source)}"]
    for title, table in found.sections().items():
        head, rows = table.shown()
        lines = [f"| {' | '.join(map(escaped, row))} |" for row in [head, *rows]]
        lines.insert(1, f"|{'---|' * len(head)}")
        parts += [f"## {title}", "\n".join(lines), *(escaped(note) for note in table.footnotes())]
    findings = "\n".join(f"* {escaped(line)}" for line in found.findings())
    return "\n\n".join([*parts, *(["## Findings", findings] if findings else [])]) + "\n"
