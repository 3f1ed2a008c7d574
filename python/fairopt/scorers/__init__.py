"""Scorers put numbers on a text: sentiment, word lists, any ONNX or Hugging Face classifier, by name.

A scorer is itself a model with faults. What it says of the same sentence about different people is measured and printed
beside every result that rests on it.
"""

from __future__ import annotations

import re

from fairopt.errors import InputError
from fairopt.scorers.base import Number, Scorer

__all__ = ["KINDS", "OWN", "Number", "Scorer", "get", "register"]

# What a name may be: what it is, what it needs.
KINDS = {
    "vader": ("VADER: sentiment by a lexicon and rules", "nothing more"),
    "words:profanity": ("share of swear words and insults, our own list", "nothing more"),
    "words:gender": ("female against male words", "nothing more"),
    "words:ldnoobw": ("share of words of the LDNOOBW list", "the data folder (FAIROPT_DATA)"),
    "words:FILE": ("share of words of your own list", "a UTF-8 file, one word or phrase a line"),
    "onnx:FILE": ("any text classifier in ONNX; options ?labels=A,B&harm=A", "pip install 'fairopt[onnx]'"),
    "hf:FOLDER": ("any Hugging Face text classifier; options ?labels=A,B&harm=A", "its folder, with safetensors"),
    "own:NAME": ("your own Python class", "fairopt.scorers.register"),
}
OWN = "own:"  # begins the names of registered ones
_REGISTERED: dict[str, Scorer] = {}


def register(scorer: Scorer) -> None:
    """Let :func:`get` find your own scorer by its name, ``own:NAME``, in this process.

    Raises :class:`~fairopt.errors.InputError` for another name, and for an id that a path or a metric cannot have.
    """
    if not scorer.name.startswith(OWN) or scorer.name == OWN:
        raise InputError(f"register: name of a scorer must be own:NAME, got {scorer.name!r}")
    if not re.fullmatch(r"[A-Za-z0-9._-]+", scorer.id):
        raise InputError(f"register: id of a scorer must be letters, digits, '.', '_' and '-', got {scorer.id!r}")
    _REGISTERED[scorer.name] = scorer


def get(name: str) -> Scorer:
    """The scorer of that name: one of :data:`KINDS`.

    Raises :class:`~fairopt.errors.InputError` for an unknown name, or a file that cannot be used.
    """
    if name in _REGISTERED:
        return _REGISTERED[name]
    kind, _, rest = name.partition(":")
    if name == "vader":
        from fairopt.scorers.vader import Vader

        return Vader()
    if kind == "words" and rest:
        from fairopt.scorers.words import word_list

        return word_list(rest)
    if kind == "onnx" and rest:
        from fairopt.scorers.onnx import OnnxClassifier

        return OnnxClassifier(rest)
    if kind == "hf" and rest:
        from fairopt.scorers.hugging_face import HuggingFaceClassifier

        return HuggingFaceClassifier(rest)
    raise InputError(f"scorer: name must be one of {', '.join(KINDS)}, got {name!r}")
