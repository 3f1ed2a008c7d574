"""Texts with named slots: ``"{name} applies for a visa."``. Nothing in them is evaluated."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from fairopt.errors import InputError

_PART = re.compile(r"\{\{|\}\}|\{([A-Za-z_]\w*)\}|[{}]")


@dataclass(frozen=True)
class Slots:
    """A text with slots; ``{{`` and ``}}`` stand for braces."""

    text: str

    @classmethod
    def parse(cls, where: str, text: str) -> Slots:
        """Raises :class:`~fairopt.errors.InputError` that begins with ``where``, for a brace that is no slot's."""
        for part in _PART.finditer(text):
            if part[0] in ("{", "}"):
                around = text[part.start() : part.start() + 20]
                raise InputError(f"{where} must have slots like {{name}}, and {{{{ or }}}} for braces, got {around!r}")
        return cls(text)

    def fill(self, value: Callable[[str], str]) -> str:
        """The text with ``value(field)`` in the place of each slot."""
        braces = {"{{": "{", "}}": "}"}
        return _PART.sub(lambda part: value(part[1]) if part[1] else braces[part[0]], self.text)
