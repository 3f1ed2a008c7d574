"""Scorers put numbers on a text: sentiment, word lists, any ONNX or Hugging Face classifier, by name.

A scorer is itself a model with faults. What it says of the same sentence about different people is measured and printed
beside every result that rests on it.
"""

from __future__ import annotations

from fairopt.errors import InputError
from fairopt.scorers.base import Number, Scorer

__all__ = ["Number", "Scorer", "get"]


def get(name: str) -> Scorer:
    """The scorer of that name: ``vader``, ``words:LIST``, ``onnx:PATH`` or ``hf:PATH``.

    Raises :class:`~fairopt.errors.InputError` for an unknown name, or a file that cannot be used.
    """
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
    raise InputError(f"scorer: name must be one of vader, words:LIST, onnx:PATH, hf:PATH, got {name!r}")
