"""Writing a report: every file whole, and the same bytes for the same result."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from fairopt.audit.result import AuditResult
from fairopt.report.whole import replace_whole


@dataclass(frozen=True)
class Paths:
    """Where the report lies."""

    html: Path
    markdown: Path
    json: Path
    latex: Path
    flips: Path  # all flips with their texts, as CSV


def write(result: AuditResult, out_dir: str | os.PathLike[str]) -> Paths:
    """Write ``report.html``, ``.md``, ``.json``, ``.tex`` and ``csv/flips.csv`` into ``out_dir``.

    The same result gives the same bytes. Every file is written beside its place and renamed, so that a full disk or an
    interruption leaves the old file, never half of a new one.

    Raises:
        OSError: ``out_dir`` cannot be written to.
    """
    from fairopt.report.document import document, dumps
    from fairopt.report.html import html
    from fairopt.report.latex import latex
    from fairopt.report.markdown import markdown
    from fairopt.report.page import page
    from fairopt.report.sections import flips
    from fairopt.report.tables import write_csv

    out = Path(out_dir)
    out.mkdir(parents=True, exist_ok=True)
    laid_out = page(result)
    paths = Paths(
        out / "report.html", out / "report.md", out / "report.json", out / "report.tex", out / "csv" / "flips.csv"
    )
    write_csv(paths.flips, flips.table(result))  # the page refers to it
    replace_whole(paths.markdown, markdown(laid_out))
    replace_whole(paths.json, dumps(document(result, laid_out)))
    replace_whole(paths.latex, latex(laid_out))
    replace_whole(paths.html, html(result, laid_out))
    return paths
