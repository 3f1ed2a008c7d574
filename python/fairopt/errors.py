"""The errors a user can meet, each with the exit code of the command line.

The text of each reads ``<op>: <argument> must be <requirement>, got <value>``.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What ``fairopt`` returns to the shell."""

    SHIP = 0
    HOLD = 1
    USAGE = 2
    NOT_COMPARABLE = 3
    INCONCLUSIVE = 4
    INTERRUPTED = 5


class FairoptError(Exception):
    """Base of all errors that are the input's fault and have a one-line answer."""

    exit_code = ExitCode.USAGE


class InputError(FairoptError, ValueError):
    """An argument, a recipe, a file or a folder that cannot be used."""


class MissingData(InputError):  # noqa: N818 - the name says what it is
    """Something that a benchmark needs and is not there: its files, or an ability of the model.

    A suite goes on without that benchmark and says so.
    """


class NotComparable(FairoptError):  # noqa: N818 - the name users read in the documentation
    """Two runs that differ in more than the model: data, template, tokenizer, dtype, BOS rule or engine."""

    exit_code = ExitCode.NOT_COMPARABLE
