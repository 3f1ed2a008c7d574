"""Open a run's folder for a command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fairopt.audit.run import Run

OwnCode = Annotated[
    list[str] | None,
    typer.Option(
        "--benchmark",
        metavar="python:MODULE:ATTRIBUTE",
        help="Your own class that the run was made with: a folder's word is not enough to run its code. Repeatable.",
        show_default=False,
    ),
]


def opened(run: Path, code: list[str] | None) -> Run:
    """The run in a folder, after loading the classes that the user names."""
    from fairopt import benchmarks
    from fairopt.audit.run import open_run

    for name in code or []:
        benchmarks.get(name)
    return open_run(run)
