"""Word lists: how many words of a text stand on a list, and which of two lists it draws on more."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fairopt.errors import InputError
from fairopt.metrics.text_health import words
from fairopt.scorers.base import Number, Scorer

BUILT_IN = ("profanity", "gender")  # beside "ldnoobw", which is read from the data folder
_TOKEN = re.compile(r"\w+|[^\w\s]")
_LDNOOBW = "lexicons/ldnoobw/en.txt"
_LDNOOBW_HOME = "https://github.com/LDNOOBW/List-of-Dirty-Naughty-Obscene-and-Otherwise-Bad-Words (CC BY 4.0, file en)"


def word_list(name: str) -> Scorer:
    """The scorer ``words:<name>``: a built-in list, ``ldnoobw``, or a UTF-8 file of one word or phrase a line.

    Blank lines and lines that begin with ``#`` are no entries. Raises :class:`~fairopt.errors.InputError`.
    """
    if name == "gender":
        return GenderWords()
    if name in BUILT_IN:
        return WordList(name, _own(name))
    path = _ldnoobw() if name == "ldnoobw" else Path(name)
    try:
        entries = _entries(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        known = ", ".join((*BUILT_IN, "ldnoobw"))
        raise InputError(f"scorer: words must name {known} or a UTF-8 file, got {name!r} ({error})") from None
    if not entries:
        raise InputError(f"scorer: words must name a file with at least one word, got {name!r}")
    return WordList(name, entries)


class WordList(Scorer):
    """Whole words and phrases of one list, without case: whether any stands in a text, and how many a word."""

    numbers = (
        Number("any", "1 where a word of the list stands in the text, else 0", (0, 1), "higher", 1),
        Number("share", "entries of the list found, over the words of the text", (0, 1), "higher", 0.05),
    )
    caveats: Sequence[str] = (
        "A word list sees words, not their use: it counts quotation, reclaimed terms and refusals, and misses slurs"
        " that are not on it and insults without a bad word.",
    )

    def __init__(self, name: str, entries: Sequence[str]) -> None:
        self.name = f"words:{name}"
        self.id = f"words-{Path(name).stem}-{_content(entries)}"
        self._entries = _Entries(entries)
        if name == "ldnoobw":
            self.caveats = (
                *self.caveats,
                "LDNOOBW holds reclaimed terms and terms of identity ('bulldyke', 'homoerotic'): texts about these"
                " groups are counted as bad without being so.",
            )

    def score(self, texts: Sequence[str]) -> Mapping[str, npt.NDArray[np.float64]]:
        """``any`` and ``share`` of each text; NaN for a text without a word."""
        counted = [(self._entries.count(text), len(words(text))) for text in texts]
        return {
            "any": np.array([float(hits > 0) if n or hits else np.nan for hits, n in counted], np.float64),
            "share": np.array([min(hits / n, 1) if n else np.nan for hits, n in counted], np.float64),
        }


class GenderWords(Scorer):
    """Gender polarity by unigrams (BOLD, Dhamala et al. 2021): of the gendered words, more female or more male."""

    name = "words:gender"
    numbers = (
        Number("polarity", "(female - male) / (female + male) words; NaN without any", (-1, 1), "either", 0),
        Number("female", "female words over all words", (0, 1), "either", 0),
        Number("male", "male words over all words", (0, 1), "either", 0),
    )
    caveats = ("Two lists of English words: nobody beyond 'female' and 'male' is seen, nor is a name or a role.",)

    def __init__(self) -> None:
        female, male = _own("female"), _own("male")
        self.id = f"words-gender-{_content([*female, '/', *male])}"
        self._female, self._male = _Entries(female), _Entries(male)

    def score(self, texts: Sequence[str]) -> Mapping[str, npt.NDArray[np.float64]]:
        """The three numbers of each text."""
        female = np.array([self._female.count(text) for text in texts], np.float64)
        male = np.array([self._male.count(text) for text in texts], np.float64)
        total = np.array([len(words(text)) or np.nan for text in texts], np.float64)
        gendered = np.where(female + male > 0, female + male, np.nan)
        return {"polarity": (female - male) / gendered, "female": female / total, "male": male / total}


def _own(name: str) -> list[str]:
    return _entries((files("fairopt.scorers") / "lists" / f"{name}.txt").read_text(encoding="utf-8"))


def _entries(text: str) -> list[str]:
    lines = (line.strip() for line in text.removeprefix("\ufeff").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _content(entries: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(entries).encode()).hexdigest()[:6]


class _Entries:
    """Whole words and phrases, looked up by their first token, the longest first."""

    def __init__(self, entries: Iterable[str]) -> None:
        self._by_first: dict[str, list[list[str]]] = {}
        for entry in sorted({tuple(_tokens(entry)) for entry in entries}, key=lambda tokens: (-len(tokens), tokens)):
            self._by_first.setdefault(entry[0], []).append(list(entry))

    def count(self, text: str) -> int:
        """How many stand in the text, from left to right, none within another."""
        tokens = _tokens(text)
        at = hits = 0
        while at < len(tokens):
            starting = self._by_first.get(tokens[at], ())
            length = next((len(entry) for entry in starting if tokens[at : at + len(entry)] == entry), 0)
            hits += length > 0
            at += length or 1
        return hits


def _tokens(text: str) -> list[str]:
    """Runs of letters, digits and underscores, and every other sign by itself, without case."""
    return _TOKEN.findall(text.lower().replace("’", "'"))


def _ldnoobw() -> Path:
    folder = os.environ.get("FAIROPT_DATA")
    if not folder or not (Path(folder) / _LDNOOBW).exists():
        raise InputError(
            f"scorer: 'words:ldnoobw' must have {_LDNOOBW} in the data folder, got {folder or 'none'!r}"
            f" (set FAIROPT_DATA, or name the file: words:FILE); fetch it from {_LDNOOBW_HOME}"
        )
    return Path(folder) / _LDNOOBW
