"""The report as Markdown, for a pull request or a terminal. The texts of benchmarks stay in ``csv/flips.csv``."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from fairopt.report.page import Page
from fairopt.report.sections.texts import TITLES
from fairopt.report.text import markdown as escape

SIGNS = {"pass": "✓", "fail": "✕", "undecided": "?", "undefined": "–"}
LONGEST = 60_000  # characters; GitHub takes 65,536 in one comment
# Groups of each table, and metrics that get one: the first pair that keeps the text short enough is used.
_MOST = ((12, 1000), (6, 1000), (3, 1000), (1, 1000), (1, 8), (1, 3), (1, 0))


def markdown(page: Page) -> str:
    """Render the page; every value that a template prints is escaped, whatever it contains."""
    texts = (_template().render(page=page, most_groups=groups, most_metrics=metrics) for groups, metrics in _MOST)
    shortest = ""
    for shortest in texts:
        if len(shortest) <= LONGEST:
            break
    return shortest


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("fairopt.report"),
        finalize=_escaped,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["fenced"] = fenced
    environment.globals.update(sign=SIGNS, text_titles=TITLES)
    return environment.get_template("report.md.j2")


class _Fenced(str):
    """Text that is already safe, because it stands in a code fence."""


def fenced(text: str) -> _Fenced:
    """A code fence longer than any run of backticks in ``text``."""
    runs = [len(run) for run in "".join(c if c == "`" else " " for c in text).split()]
    fence = "`" * max(3, 1 + max(runs, default=0))
    return _Fenced(f"{fence}\n{text}\n{fence}")


def _escaped(value: object) -> str:
    return value if isinstance(value, _Fenced) else escape(str(value))
