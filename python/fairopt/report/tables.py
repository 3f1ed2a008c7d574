"""Tables for spreadsheets: CSV whose text cells are never run as a formula.

UTF-8 with a byte-order mark, CRLF, every text quoted. Numbers are written in full and stay numbers; undefined is empty.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from fairopt.report.text import visible
from fairopt.report.whole import replace_whole

_FORMULA = re.compile(r"^\s*[=+\-@\t\r]")


def csv(rows: Iterable[Iterable[object]]) -> Iterator[str]:
    """One line of text a row, the byte-order mark before the first."""
    mark = "\ufeff"
    for row in rows:
        yield mark + ",".join(map(_cell, row)) + "\r\n"
        mark = ""


def write_csv(path: Path, rows: Iterable[Iterable[object]]) -> Path:
    """Write the rows to ``path``, whole or not at all; the folder is made if it is missing.

    Raises:
        OSError: the folder cannot be written to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_whole(path, "".join(csv(rows)))
    return path


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else ""
    text = visible(str(value), most=1 << 30)
    quoted = (f"'{text}" if _FORMULA.match(text) else text).replace('"', '""')
    return f'"{quoted}"'
