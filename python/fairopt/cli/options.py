"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fairopt.compress.calibration import CalibrationFile
    from fairopt.compress.structure.pair_gap import PairGap
    from fairopt.models.loading import LoadedModel

Seed = Annotated[int, typer.Option(help="Seed of everything that is random.")]
Calibration = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Texts for recipes that look at activations: *.txt, *.jsonl or *.parquet."),
]
Samples = Annotated[int, typer.Option(min=1, help="Sequences taken from --calibration at most.")]
Length = Annotated[
    int | None, typer.Option(min=1, help="Tokens of each; by default 512, or the model's positions if it has fewer.")
]
Pairs = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help='JSON lines {"a": ..., "b": ...}: the bias of fasp is how differently they read.'
    ),
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


def pair_gap(path: Path | None, loaded: LoadedModel) -> PairGap | None:
    """What ``--pairs`` measures of a model."""
    if path is None:
        return None
    from fairopt.compress.structure.pair_gap import read_pairs

    return read_pairs(path, loaded.model, loaded.tokenizer)
