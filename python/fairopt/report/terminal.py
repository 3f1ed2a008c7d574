"""The verdict for a terminal: a table, and for each variant what decided. No benchmark text is ever printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from fairopt.report.page import Page

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

STYLES = {"SHIP": "bold blue", "HOLD": "bold red", "INCONCLUSIVE": "bold yellow"}
WIDTH = 110  # of pipes and files


def print_verdict(page: Page, file: TextIO | None = None) -> None:
    """Print to ``file`` (stdout when not given): coloured on a terminal, plain text elsewhere."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=file, highlight=False)
    if not console.is_terminal:
        console = Console(file=file, highlight=False, width=WIDTH, color_system=None)
    console.print(Text(page.headline, style="bold"))
    if page.unasked:
        console.print(Text(page.unasked))
    if not page.cards:
        console.print(Text(page.checks_sentence))
        return
    table = Table(box=box.SIMPLE_HEAD if console.is_terminal else box.ASCII2)
    for column in ("variant", "verdict", "met", "decided by"):
        table.add_column(column, no_wrap=column == "met")
    for column in ("change", "bound", "limit", "items"):
        table.add_column(column, justify="right", no_wrap=True)
    for card in page.cards:
        gate = card.decided
        row = (f"{gate.metric}, {gate.group}", gate.estimate, gate.bound, gate.limit, gate.n) if gate else ("",) * 5
        table.add_row(
            Text(card.name), Text(card.decision, style=STYLES[card.decision]), Text(card.met), *map(Text, row)
        )
    console.print(table)
    for card in page.cards:
        console.print(Text(f"{card.name}  {card.decision}", style=STYLES[card.decision]))
        same = f"{card.same}." if card.same else ""
        _print_indented(console, " ".join(filter(None, (card.why, card.settle, same))))
        for text in (*card.collapsed, *card.conditions):
            _print_indented(console, f"- {text}")
    if page.sections and page.sections.overview:
        console.print(_overview(page, console.is_terminal))
        return
    for forest in page.sections.forests if page.sections else ():
        console.print(Text(f"{forest.title} ({forest.metric})"))
        _print_indented(console, forest.noise)


def _overview(page: Page, is_terminal: bool) -> Table:
    """Every metric with a limit, where there are many."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD if is_terminal else box.ASCII2)
    table.add_column("metric")
    for column in ("n", "base", *(card.name for card in page.cards)):
        table.add_column(Text(column), justify="right")
    for line in page.sections.overview if page.sections else ():
        cells = [f"{cell.change} {cell.interval}\n{cell.word}" for cell in line.cells]
        table.add_row(*map(Text, (line.metric, line.n, line.base, *cells)))
    return table


def _print_indented(console: Console, text: str) -> None:
    from rich.text import Text

    for line in Text(text).wrap(console, console.width - 2):
        line.rstrip()
        console.print(Text("  ") + line)
