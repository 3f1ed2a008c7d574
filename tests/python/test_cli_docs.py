"""The synopsis of docs/cli.md names every command and every option of it, and no other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import typer

from fairopt.cli import app

PAGE = Path(__file__).resolve().parents[2] / "docs" / "cli.md"


def synopses() -> dict[str, set[str]]:
    """Command -> the options that the first block of the page names for it."""
    block = re.search(r"(?:^    .*\n)+", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert block is not None
    parts = re.split(r"^    fairopt (\w+)", block[0], flags=re.MULTILINE)[1:]
    return {name: set(re.findall(r"--[\w-]+", text)) for name, text in zip(parts[::2], parts[1::2], strict=True)}


def options(command: Any) -> set[str]:
    inside = getattr(command, "commands", {})  # typer brings its own click: no class to ask for
    own = {option for one in command.params for option in one.opts if option.startswith("--")}
    return own.union(*map(options, inside.values())) - {"--help"}


def test_the_synopsis_names_every_option() -> None:
    commands: Any = typer.main.get_command(app)
    assert synopses() == {name: options(command) for name, command in commands.commands.items()}
