"""``fairopt audit``: compressed variants against their baseline."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairopt.cli.errors import one_line_errors
from fairopt.cli.gate import write_for_ci
from fairopt.cli.options import Calibration, Data, Junit, Length, Pairs, Samples, Seed, Summary, calibration_file
from fairopt.cli.show import show
from fairopt.errors import InputError

if TYPE_CHECKING:
    from fairopt.audit.run import Run

Out = Annotated[Path, typer.Option(help="Folder of the run; one that holds part of this run is resumed.")]
Base = Annotated[str, typer.Argument(help="The uncompressed model: a folder, a hub name, or 'phantom'.")]
Recipes = Annotated[list[str] | None, typer.Option(metavar="RECIPE", help="Audit the base compressed so. Repeatable.")]
Models = Annotated[
    list[str] | None, typer.Option(metavar="DIR", help="Audit this model as a variant of the base. Repeatable.")
]
Benchmarks = Annotated[
    list[str] | None, typer.Option(metavar="NAME", help="See 'fairopt list benchmarks'. Repeatable.")
]
Suite = Annotated[str | None, typer.Option(metavar="NAME", help="Benchmarks under one name: 'fairopt list suites'.")]
Factors = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=LEVEL", help="Ask at this level too, where a benchmark has the factor. Repeatable."),
]
Limits = Annotated[Path | None, typer.Option(help="Limits as YAML, TOML or JSON: docs/gates.md.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Only this many items per benchmark: a rehearsal.")]
BaseRuns = Annotated[int, typer.Option(min=2, help="How often the base is scored: what differs between runs is noise.")]
SharedStatistics = Annotated[
    bool,
    typer.Option(
        "--shared-statistics",
        help="One calibration pass over the dense base serves gptq, sparsegpt and wanda recipes; results are not those"
        " of a pass each.",
    ),
]
Speed = Annotated[bool, typer.Option("--speed", help="Also measure how fast each variant is on this machine.")]
Lease = Annotated[
    float, typer.Option(min=1, help="Seconds without progress after which another worker's job is taken over.")
]


def audit(
    *,
    out: Out,
    base: Base = "phantom",
    compress: Recipes = None,
    model: Models = None,
    benchmark: Benchmarks = None,
    suite: Suite = None,
    factor: Factors = None,
    calibration: Calibration = None,
    samples: Samples = 128,
    length: Length = None,
    shared_statistics: SharedStatistics = False,
    pairs: Pairs = None,
    data: Data = None,
    policy: Limits = None,
    junit: Junit = None,
    summary: Summary = None,
    limit: Limit = None,
    seed: Seed = 0,
    base_runs: BaseRuns = 3,
    speed: Speed = False,
    lease: Lease = 120.0,
) -> None:
    """Compare compressed variants with their baseline: SHIP, HOLD or INCONCLUSIVE, and who pays.

    Processes with the same command and folder share the work, as do ranks of torchrun (which return 0). Example:
        fairopt audit ./model --compress gptq:int4,g=32 --calibration texts.txt --suite core --data ./data --out run/
    """
    with one_line_errors(f"; finished jobs are kept: run the same command again to go on from {out}"):
        from fairopt.audit.audit import audit as run_audit

        ask = partial(run_audit, base, _recipes(compress, model), models=model or [], out=out, seed=seed, limit=limit)
        run = ask(
            benchmarks=_named(benchmark, suite, base),
            suite=suite,
            factors=_levels(factor or []),
            calibration=calibration_file(calibration, samples, length),
            shared_statistics=shared_statistics,
            pairs=pairs,
            data=data,
            policy=policy,
            base_runs=base_runs,
            speed=speed,
            lease=lease,
        )
        raise typer.Exit(_say(run, junit, summary))


def _recipes(compress: list[str] | None, model: list[str] | None) -> list[str]:
    if not (compress or model):
        raise InputError("audit: variants must be named by --compress RECIPE or --model DIR, got none")
    return compress or []


def _named(benchmark: list[str] | None, suite: str | None, base: str) -> list[str]:
    """What was named, else what suits the base model."""
    return benchmark or ([] if suite else ["phantom_pairs" if base == "phantom" else "crows_pairs"])


def _levels(given: list[str]) -> dict[str, list[str]]:
    """``["chat=on", "order=reversed"]`` as levels by factor."""
    found: dict[str, list[str]] = {}
    for word in given:
        name, is_there, level = word.partition("=")
        if not (name and is_there and level):
            raise InputError(f"audit: factor must be NAME=LEVEL, got {word!r}")
        found.setdefault(name, []).append(level)
    return found


def _say(run: Run, junit: Path | None, summary: Path | None) -> int:
    """One rank speaks for all, and none returns a verdict: a launcher takes any code but 0 for a crash."""
    from fairopt.audit.executors import ranks

    together = ranks()
    if together is not None and together.rank > 0:
        return 0
    code = show(run)
    write_for_ci(run.result, junit, summary)
    return 0 if together else code
