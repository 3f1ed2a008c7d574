"""The commands.

Every heavy import stands inside the command that needs it, so that ``fairopt --help`` is instant. A command ends with a
code of :class:`~fairopt.errors.ExitCode`; what went wrong is one line on stderr.
"""

from __future__ import annotations

import io
import sys
import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairopt.cli.audit import audit
from fairopt.cli.compare import compare
from fairopt.cli.data import data_app
from fairopt.cli.errors import one_line_errors as _one_line_errors
from fairopt.cli.export import export
from fairopt.cli.frame import frame
from fairopt.cli.gate import gate
from fairopt.cli.opening import OwnCode, opened
from fairopt.cli.options import AsJson, Calibration, Data, Length, Pairs, Samples, Seed, calibration_file, pair_gap
from fairopt.cli.show import show
from fairopt.cli.table import print_json, print_table
from fairopt.errors import ExitCode

if TYPE_CHECKING:
    from fairopt.compress.recipe import Recipe

Statistics = Annotated[
    Path | None, typer.Option(help="Folder that keeps one pass over the dense model, for any number of recipes.")
]
KINDS = "benchmarks, metrics, suites, scorers, recipes, formats or layouts"

app = typer.Typer(
    name="fairopt",
    help="Compress a language model, and prove what that did to bias and robustness against the uncompressed baseline.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command line of this process and exit."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal without UTF-8 shows escapes
    warnings.showwarning = _warning
    app(prog_name="fairopt")


def _warning(message: Warning | str, *where: object, **more: object) -> None:
    """One line, without the file and the source line that a program would be shown."""
    typer.echo(f"warning: {' '.join(str(message).split())}", err=True)


def _version(wanted: bool) -> None:
    if wanted:
        import fairopt

        typer.echo(f"fairopt {fairopt.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Compress a language model, and prove what that did to bias and robustness against the uncompressed baseline.

    Exit codes: 0 ship, 1 hold, 2 wrong usage or unusable input, 3 not comparable, 4 inconclusive, 5 interrupted.
    """


@app.command()
def compress(
    base: Annotated[str, typer.Argument(help="The model: a folder, a hub name, or 'phantom'.")],
    recipe: Annotated[str, typer.Option(help="See 'fairopt list recipes'. Steps are joined by '+'.")],
    out: Annotated[Path, typer.Option(help="Folder to write: safetensors, config and tokenizer.")],
    calibration: Calibration = None,
    samples: Samples = 128,
    length: Length = None,
    resume: Annotated[
        Path | None, typer.Option(help="Folder that keeps finished decoder blocks: run the same again to go on.")
    ] = None,
    statistics: Statistics = None,
    pairs: Pairs = None,
    seed: Seed = 0,
) -> None:
    """Compress a model and save it as a Hugging Face folder.

    A folder is compressed weight by weight and may be larger than the memory; what is not compressed keeps its type.
    A recipe that looks at activations, and a name on the hub, need the whole model in memory.

    Examples:

        fairopt compress phantom --recipe nf4 --out phantom-nf4/

        fairopt compress ./model --recipe "magnitude:2:4+int8;keep=lm_head" --out small/

        fairopt compress ./model --recipe gptq:int4,g=32 --calibration texts.jsonl --out small/
    """
    with _one_line_errors():
        from fairopt.compress.recipe_text import parse

        parsed = parse(recipe)
        folder = None if pairs else _folder_of_weights(base, parsed)
        if folder is not None:
            from fairopt.compress.on_disk import compress_folder

            typer.echo(f"{out}: {compress_folder(folder, out, parsed, seed=seed)}")
            return
        from fairopt.compress.compress import compress as run_compress
        from fairopt.compress.storage import save
        from fairopt.models.loading import load_model

        loaded = load_model(base, dtype="auto")
        texts = calibration_file(calibration, samples, length)
        run = partial(run_compress, loaded.model, parsed, tokenizer=loaded.tokenizer, seed=seed)
        model = run(calibration=texts, resume=resume, statistics=statistics, bias=pair_gap(pairs, loaded))
        typer.echo(f"{out}: {save(model, out, loaded.tokenizer)}")


def _folder_of_weights(base: str, recipe: Recipe) -> Path | None:
    """The folder of the model if it can be compressed weight by weight; None if it must be in memory."""
    from fairopt.compress.on_disk import joins_tensors
    from fairopt.compress.plan import looks_at_one_layer
    from fairopt.models.loading import check_folder, local_folder

    folder = local_folder(base)
    if folder is None or not looks_at_one_layer(recipe):
        return None
    check_folder(folder)
    return None if joins_tensors(folder) else folder


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="The folder that 'fairopt audit --out' wrote.")], benchmark: OwnCode = None
) -> None:
    """Build the report of a run again from its folder alone: no model, no data.

    Returns 0 when the report could be built, whatever it says.

    Example:

        fairopt report run/
    """
    with _one_line_errors():
        show(opened(run, benchmark))


app.command()(audit)
app.command()(gate)
app.command()(compare)
app.command()(frame)
app.command()(export)
app.add_typer(data_app, name="data")


@app.command("list")
def list_(
    kind: Annotated[str, typer.Argument(help=f"What to list: {KINDS}.")] = "benchmarks",
    name: Annotated[str, typer.Argument(help="One benchmark in full, or the entries of a suite.")] = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """List what can be named on the command line: what each is, needs and costs.

    Examples:

        fairopt list benchmarks

        fairopt list benchmark bbq --data ./data
    """
    with _one_line_errors():
        from fairopt.cli.benchmark_page import benchmark_page, print_page
        from fairopt.cli.listing import listing

        if name and kind in ("benchmark", "benchmarks"):
            page = benchmark_page(name, data)
            print_json(page) if as_json else print_page(page)
            return
        rows = listing(kind, name)
        if as_json:
            print_json(rows)
        else:
            print_table(tuple(rows[0]), [tuple(map(_cell, row.values())) for row in rows])


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


@app.command()
def doctor(data: Data = None) -> None:
    """Say what this installation can do: versions, instruction sets, threads, CUDA, data.

    Returns 2 when a part that is needed does not load.
    """
    with _one_line_errors():
        from fairopt.doctor import diagnose

        findings = diagnose(data)
        print_table((), [(f.name, f.value if f.works else f"{f.value}  (!)") for f in findings])
        code = ExitCode.SHIP if all(f.works for f in findings) else ExitCode.USAGE
    raise typer.Exit(code)
