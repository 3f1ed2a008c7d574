"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fairopt.compress.calibration import CalibrationFile

Seed = Annotated[int, typer.Option(help="Seed of everything that is random.")]
Calibration = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Texts for recipes that look at activations: *.txt, *.jsonl or *.parquet."),
]
Samples = Annotated[int, typer.Option(min=1, help="Sequences taken from --calibration at most.")]
Length = Annotated[
    int | None, typer.Option(min=1, help="Tokens of each; by default 512, or the model's positions if it has fewer.")
]
Data = Annotated[
    Path | None, typer.Option(envvar="FAIROPT_DATA", help="Folder with the benchmarks' data.", show_default=False)
]
Junit = Annotated[Path | None, typer.Option(help="Write the gates as JUnit XML here.")]
Summary = Annotated[Path | None, typer.Option(help="Write a Markdown summary for a pull request here.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def calibration_file(path: Path | None, samples: int, length: int | None) -> CalibrationFile | None:
    """What the three options name."""
    if path is None:
        return None
    from fairopt.compress.calibration import CalibrationFile

    return CalibrationFile(path, samples, length)
