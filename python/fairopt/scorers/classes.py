"""What the classes of a text classifier are called, and which of them are harm.

A classifier is named ``onnx:PATH?labels=hate,offensive,neither&harm=hate`` or ``hf:PATH?harm=toxic``: ``labels`` where
its files do not say what its classes are, ``harm`` where their names do not tell which are harmful, or tell it wrong.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl

import numpy as np
import numpy.typing as npt

from fairopt.errors import InputError
from fairopt.scorers.base import Number

_HIGHER: Literal["higher"] = "higher"
_EITHER: Literal["either"] = "either"
THRESHOLD = 0.5  # from which probability on a class counts as given, as the compression studies do
_HARMFUL = re.compile(
    r"\b(?:abus(?:e|ive)|attack|derogatory|explicit|harassment|harm(?:ful)?|hate(?:ful|speech)?|hostile|insult(?:ing)?"
    r"|negative|obscen(?:e|ity)|offensive|profanity|racis[mt]|sexis[mt]|slur|stereotyp(?:e|ical)|threat(?:ening)?"
    r"|toxic(?:ity)?|unsafe|violence)\b"
)
_NEGATION = re.compile(r"\b(?:anti|non?|not)\b")


def parse(kind: str, text: str) -> tuple[str, dict[str, tuple[str, ...]]]:
    """``PATH?option=a,b&...`` -> path and options. Raises :class:`~fairopt.errors.InputError`."""
    path, _, query = text.partition("?")
    try:
        given = parse_qsl(query, strict_parsing=bool(query))
    except ValueError:
        raise InputError(f"scorer: options of {kind}: must be given as ?harm=LABEL,..., got {query!r}") from None
    for option, _ in given:
        if option not in ("labels", "harm"):
            raise InputError(f"scorer: options of {kind}: must be labels or harm, got {option!r}")
    return path, {option: tuple(filter(None, value.split(","))) for option, value in given}


def numbers(scorer: str, labels: Sequence[str], harm: Sequence[str] | None) -> tuple[Number, ...]:
    """One probability a class, the harmful ones first: benchmarks take a scorer's first number for their headline.

    ``harm`` names the harmful ones; None: those that are called so. Raises :class:`~fairopt.errors.InputError` for a
    label that stands twice, and a harm that is no label.
    """
    if len(set(labels)) < len(labels):
        raise InputError(f"scorer: labels of {scorer!r} must be distinct, got {', '.join(labels)}")
    for label in harm or ():
        if label not in labels:
            raise InputError(f"scorer: harm of {scorer!r} must be one of {', '.join(labels)}, got {label!r}")
    harmful = tuple(filter(is_harmful, labels)) if harm is None else tuple(dict.fromkeys(harm))
    others = tuple(label for label in labels if label not in harmful)
    return tuple(
        Number(label, f"probability of the class {label!r}", (0, 1), direction, THRESHOLD)
        for own, direction in ((harmful, _HIGHER), (others, _EITHER))
        for label in own
    )


def by_number(
    found: Sequence[Number], labels: Sequence[str], probabilities: npt.NDArray[np.float64]
) -> dict[str, npt.NDArray[np.float64]]:
    """The columns of ``[texts, labels]`` under the names of the numbers, in their order."""
    return {number.name: probabilities[:, labels.index(number.name)] for number in found}


def content(files: Iterable[Path], labels: Sequence[str]) -> str:
    """Six digits of the hash of what decides the numbers and their names: part of a scorer's id."""
    digest = hashlib.sha256(",".join(labels).encode())
    for file in sorted(set(files)):
        digest.update(file.name.encode())
        with file.open("rb") as opened:
            while block := opened.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()[:6]


def is_harmful(label: str) -> bool:
    """Whether a class is harm by its name: "severe_toxic" is, "non-toxic", "neither" and "LABEL_1" are not."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|[^A-Za-z]", " ", label).lower()
    return bool(_HARMFUL.search(words)) and not _NEGATION.search(words)


def caveats(scorer: str, found: Sequence[Number]) -> tuple[str, ...]:
    """What to say of any classifier, and of one whose labels do not tell what is harm."""
    said = (
        f"{scorer} is a model with faults of its own: it was trained on other texts than these, and probabilities near"
        " a threshold are not calibrated on them.",
    )
    if any(number.harm == "higher" for number in found):
        return said
    return (*said, f"No class of {scorer} is known to be harm: name it with ?harm=LABEL.")
