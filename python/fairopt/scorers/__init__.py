"""Scorers put numbers on a text: sentiment, word lists, any ONNX or Hugging Face classifier, by name.

A scorer is itself a model with faults. What it says of the same sentence about different people is measured and printed
beside every result that rests on it.
"""

from __future__ import annotations

from fairopt.errors import InputError
from fairopt.scorers.base import Number, Scorer

__all__ = ["KINDS", "Number", "Scorer", "get"]

# What a name may be: what it is, what it needs.
KINDS = {
    "vader": ("VADER: sentiment by a lexicon and rules", "nothing more"),
    "words:profanity": ("share of swear words and insults, our own list", "nothing more"),
    "words:gender": ("female against male words", "nothing more"),
    "words:ldnoobw": ("share of words of the LDNOOBW list", "the data folder (FAIROPT_DATA)"),
    "words:FILE": ("share of words of your own list", "a UTF-8 file, one word or phrase a line"),
    "onnx:FILE": ("any text classifier in ONNX; options ?labels=A,B&harm=A", "pip install 'fairopt[onnx]'"),
    "hf:FOLDER": ("any Hugging Face text classifier; options ?labels=A,B&harm=A", "its folder, with safetensors"),
}


def get(name: str) -> Scorer:
    """The scorer of that name: one of :data:`KINDS`.

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
    raise InputError(f"scorer: name must be one of {', '.join(KINDS)}, got {name!r}")
