"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Seed = Annotated[int, typer.Option(help="Seed of everything that is random.")]
Data = Annotated[
    Path | None, typer.Option(envvar="FAIROPT_DATA", help="Folder with the benchmarks' data.", show_default=False)
]
Junit = Annotated[Path | None, typer.Option(help="Write the gates as JUnit XML here.")]
Summary = Annotated[Path | None, typer.Option(help="Write a Markdown summary for a pull request here.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
