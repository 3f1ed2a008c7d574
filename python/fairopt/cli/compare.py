"""``fairopt compare``: one variant of a run, group by group."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fairopt.cli.errors import one_line_errors
from fairopt.cli.opening import OwnCode, opened


def compare(
    run: Annotated[Path, typer.Argument(help="The folder that 'fairopt audit --out' wrote.")],
    variant: Annotated[str, typer.Argument(help="The variant's name, as it was audited.")],
    benchmark: OwnCode = None,
) -> None:
    """Print what one variant changed: every metric and group, every gate, and the re-analyses.

    Returns 0 when the comparison could be printed, whatever it says.

    Example:

        fairopt compare run/ nf4
    """
    with one_line_errors():
        from fairopt.report.comparison import print_comparison

        print_comparison(opened(run, benchmark).compare(variant))
