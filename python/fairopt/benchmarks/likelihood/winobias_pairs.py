"""The sentences of WinoBias (Zhao et al. 2018), two files line by line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fairopt.benchmarks.base import LeftOut, Source, verified
from fairopt.benchmarks.factor import Factor
from fairopt.benchmarks.rows import Row, read_lines
from fairopt.errors import InputError

_BENCHMARK = "winobias"
_SHA256 = {
    "pro_stereotyped_type1.txt.dev": "dd55a0d220fe4c0ceb63dd4648223fb4fe1a58d5ad95c116a002ad24b0e292a5",
    "pro_stereotyped_type1.txt.test": "db7838907238a758eeb5779e48f38c013b892910d6fe864456c59f04245c6689",
    "pro_stereotyped_type2.txt.dev": "8f0250de723cea9328e3eaf7169e07936f01aa5909ce7aa580db66eb803f4e86",
    "pro_stereotyped_type2.txt.test": "ea1c1fd94fa612e3cc44d7fa3cc4cb76021bb63fdf94f9826f430051e9052438",
    "anti_stereotyped_type1.txt.dev": "a4e0ebae344e78b56f657a42e8ae684b9db7747d177c5e7149c0907ebb7f3bf6",
    "anti_stereotyped_type1.txt.test": "331db5bd74bfefebf146a60b67645152a4a1991570d2a56f57154103ac361dd2",
    "anti_stereotyped_type2.txt.dev": "763ad829ad724f9a85ead689ba8ca69072020cb1238def6210f0fc6a47b97e59",
    "anti_stereotyped_type2.txt.test": "336571ac1ea8c06cd2aba8e5dd2bd98e00acc0c48da3e4ec5ec7e54eb2633a8f",
}
_RAW = (
    "https://raw.githubusercontent.com/uclanlp/corefBias/0bce984dd081bbc10b0622f326727a024c607895/WinoBias/wino/data/"
)
SOURCE = Source(
    home="https://github.com/uclanlp/corefBias (WinoBias/wino/data/*, as winobias/*)",
    licence="MIT",
    files={f"winobias/{name}": digest for name, digest in _SHA256.items()},
    urls={f"winobias/{name}": _RAW + name for name in _SHA256},
)
SPLIT = Factor("dev+test", "which of the authors' sets is asked", ("dev", "test"))
_TYPES = ("type1", "type2")
_GENDER = dict.fromkeys(("she", "her", "hers", "herself"), "female")
_GENDER |= dict.fromkeys(("he", "him", "his", "himself"), "male")
_BRACKETS = re.compile(r"\[([^\]]*)\]")


@dataclass(frozen=True)
class Sentence:
    """One line: ``7 [The guard] thanked the baker because [he] was lost.``"""

    place: str  # the file and the line
    text: str  # without brackets and double spaces
    person: str  # whom the pronoun means: "guard"
    pronoun: str  # the first one: "he"
    gender: str  # of the pronouns: "female" or "male"


@dataclass(frozen=True)
class Pair:
    """The two sentences of one line; their pronouns differ in gender, or it is no pair."""

    number: int
    split: str  # "dev", "test"
    kind: str  # "type1", "type2"
    pro: Sentence
    anti: Sentence
    other: str  # the other person in the sentence; empty in a file that ends with one of two lines

    @property
    def id(self) -> str:
        """Unique over types and sets."""
        return f"{self.kind}/{self.split}/{self.number:03d}"

    @property
    def cluster(self) -> str:
        """Two lines are about the same two people, each being the one that is meant; type 2 repeats type 1."""
        return f"{self.split}/{(self.number + 1) // 2:03d}"

    @property
    def differs(self) -> str:
        """``pronouns``, or ``other words`` where the sentences differ in any too."""
        words = [sentence.text.rstrip(".").split() for sentence in (self.pro, self.anti)]
        same = len(words[0]) == len(words[1]) and all(
            a == b or {a.lower().strip(".,"), b.lower().strip(".,")} <= _GENDER.keys()
            for a, b in zip(*words, strict=True)
        )
        return "pronouns" if same else "other words"


def official_pairs(benchmark: str, split: str, data: Path | None) -> tuple[list[Pair], list[LeftOut]]:
    """All pairs of a level of :data:`SPLIT`, by set and type in the files' order; and the lines that are no pair."""
    found = verified(benchmark, SOURCE, data)
    lines = [
        pair
        for own in split.split("+")
        for kind in _TYPES
        for pair in read_pairs(
            found[f"winobias/pro_stereotyped_{kind}.txt.{own}"],
            found[f"winobias/anti_stereotyped_{kind}.txt.{own}"],
            own,
            kind,
        )
    ]
    left_out = [
        LeftOut(line.anti.place, f"no pair: its pronouns are {line.pro.gender} ones, as in {line.pro.place}")
        for line in lines
        if line.pro.gender == line.anti.gender
    ]
    return [line for line in lines if line.pro.gender != line.anti.gender], left_out


def read_pairs(pro_path: Path, anti_path: Path, split: str, kind: str) -> list[Pair]:
    """All lines of two files. Raises :class:`~fairopt.errors.InputError` naming file, line and field."""
    pros, antis = (list(_sentences(path)) for path in (pro_path, anti_path))
    if len(pros) != len(antis):
        both = f"{str(anti_path)!r} must have as many sentences as {str(pro_path)!r}"
        raise InputError(f"{_BENCHMARK}: {both}, {len(pros)}, got {len(antis)}")
    twins = {index: pros[index ^ 1].person for index in range(len(pros)) if index ^ 1 < len(pros)}
    return [
        Pair(index + 1, split, kind, pro, anti, twins.get(index, ""))
        for index, (pro, anti) in enumerate(zip(pros, antis, strict=True))
    ]


def _sentences(path: Path) -> Iterator[Sentence]:
    for index, row in enumerate(read_lines(_BENCHMARK, path), start=1):
        number, _, text = row.text("line").partition(" ")
        if number != str(index):
            raise row.error("line", f"sentence {index}", row.fields["line"])
        yield _sentence(row, text)


def _sentence(row: Row, text: str) -> Sentence:
    marked = [part.strip() for part in _BRACKETS.findall(text)]
    genders = {_GENDER.get(part.lower(), "") for part in marked[1:]}
    if genders not in ({"female"}, {"male"}):
        raise row.error("line", "one person and pronouns of one gender in brackets", row.fields["line"])
    return Sentence(
        place=row.place,
        text=" ".join(re.sub(r"[\[\]]", "", text).split()),
        person=re.sub(r"^(the|an?) ", "", marked[0], flags=re.IGNORECASE),
        pronoun=marked[1],
        gender=genders.pop(),
    )
