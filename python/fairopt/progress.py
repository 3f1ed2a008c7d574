"""Progress bars with counts and an ETA: on stderr, and only where that is a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

_shown: list[Progress] = []  # the display in which a bar within a bar gets a line of its own


@contextmanager
def progress(
    description: str, total: int, unit: str = "items", *, shown: bool = True
) -> Iterator[Callable[[int], None]]:
    """Show a bar while the block runs; call the yielded function with the number of units just done.

    Within the block of another one, it has a line under that, until it is done.
    """
    with _display() as bars:
        task = bars.add_task(description, total=total, unit=unit, visible=shown)
        try:
            yield lambda done: bars.advance(task, done)
        finally:
            bars.remove_task(task)


@contextmanager
def _display() -> Iterator[Progress]:
    if _shown:
        yield _shown[-1]
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bars:
        _shown.append(bars)
        try:
            yield bars
        finally:
            _shown.pop()
