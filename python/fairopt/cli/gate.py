"""``fairopt gate``: decide again, from the folder of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairopt.cli.errors import one_line_errors
from fairopt.cli.opening import OwnCode, opened
from fairopt.cli.options import Junit, Summary

if TYPE_CHECKING:
    from fairopt.audit.result import AuditResult

AFTERWARDS = "This policy was chosen after the run: it explains the answers and does not decide about them."


def gate(
    run: Annotated[Path, typer.Argument(help="The folder that 'fairopt audit --out' wrote.")],
    policy: Annotated[
        Path | None, typer.Option(help="Limits as YAML, TOML or JSON (docs/gates.md); by default those of the run.")
    ] = None,
    junit: Junit = None,
    summary: Summary = None,
    benchmark: OwnCode = None,
) -> None:
    """Decide about a run again, without a model: the exit code is the verdict's.

    Nothing in the folder of the run changes. A policy other than the run's was chosen with the answers at hand: the
    output says so.

    Examples:

        fairopt gate run/ --junit gates.xml --summary summary.md

        fairopt gate run/ --policy stricter.yaml
    """
    with one_line_errors():
        from fairopt.report.page import page
        from fairopt.report.terminal import print_verdict

        found = opened(run, benchmark)
        result = found.result if policy is None else found.decide(policy)
        note = "" if result.policy_hash == found.descriptor.policy_hash else AFTERWARDS
        laid_out = page(result)
        print_verdict(laid_out)
        if note:
            typer.echo(f"\n{note}")
        write_for_ci(result, junit, summary, note)
        typer.echo(f"\nexit code {laid_out.exit_code}: {laid_out.exit_meaning}")
    raise typer.Exit(laid_out.exit_code)


def write_for_ci(result: AuditResult, junit: Path | None, summary: Path | None, note: str = "") -> None:
    """Write what continuous integration shows, where it was asked for."""
    from fairopt.report.junit import junit as junit_xml
    from fairopt.report.page import page
    from fairopt.report.pull_request import pull_request
    from fairopt.report.whole import replace_whole

    if junit is not None:
        replace_whole(junit, junit_xml(result))
    if summary is not None:
        replace_whole(summary, pull_request(result, page(result), note))
