"""``fairopt data``: the benchmarks' files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from fairopt.cli.errors import one_line_errors
from fairopt.cli.options import AsJson, Data
from fairopt.cli.table import print_json, print_table

if TYPE_CHECKING:
    from fairopt.data import Dataset

data_app = typer.Typer(
    no_args_is_help=True, help="The benchmarks' files: what there is, where it lives, how to get it."
)
Name = Annotated[str, typer.Argument(help="A benchmark: 'fairopt data list'.")]


@data_app.command("list")
def list_(data: Data = None, as_json: AsJson = False) -> None:
    """List the benchmarks that need files, and which of them are there."""
    with one_line_errors():
        from dataclasses import asdict

        from fairopt.data import list as datasets

        found = datasets(data)
        if as_json:
            print_json([{**asdict(one), "folder": str(one.folder), "ready": one.ready} for one in found])
            return
        head = ("benchmark", "files", "state", "licence")
        print_table(head, [(one.benchmark, str(len(one.files)), _state(one), one.licence) for one in found])


@data_app.command()
def fetch(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Benchmarks: 'fairopt data list'.")],
    data: Data = None,
) -> None:
    """Download files from their official homes, checked; without --data and FAIROPT_DATA into the user's cache.

    Example: fairopt data fetch crows_pairs bbq --data ./data
    """
    with one_line_errors("; files that came whole are kept: run the same command again"):
        from fairopt.data import fetch as run_fetch

        for name in names:
            run_fetch(name, data, say=typer.echo)


@data_app.command()
def path(name: Name, data: Data = None) -> None:
    """Print where a benchmark's files are, once their checksums are right."""
    with one_line_errors():
        from fairopt.data import path as paths

        for found in paths(name, data).values():
            typer.echo(found)


def _state(one: Dataset) -> str:
    present = sum(file.present for file in one.files)
    if one.ready:
        return "ready" if present == len(one.files) else f"ready ({present} files)"
    return "fetch it" if one.fetchable else "by hand"
