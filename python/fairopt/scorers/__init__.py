"""Scorers put numbers on a text: sentiment, word lists, any ONNX or Hugging Face classifier, by name.

A scorer is itself a model with faults. What it says of the same sentence about different people is measured and printed
beside every result that rests on it.
"""

from __future__ import annotations

from fairopt.errors import InputError
from fairopt.scorers.base import Number, Scorer

__all__ = ["Number", "Scorer", "get"]


def get(name: str) -> Scorer:
    """The scorer of that name: ``vader`` or ``words:LIST``; nothing heavy is loaded before its first text.

    Raises :class:`~fairopt.errors.InputError` for an unknown name, or a file that cannot be used.
    """
    kind, _, rest = name.partition(":")
    if name == "vader":
        from fairopt.scorers.vader import Vader

        return Vader()
    if kind == "words" and rest:
        from fairopt.scorers.words import word_list

        return word_list(rest)
    raise InputError(f"scorer: name must be one of vader, words:LIST, got {name!r}")
