"""HolisticBias (Smith et al. 2022): noun phrases from descriptors and nouns, "a Deaf woman", and sentence templates.

The official files are JSON with two spellings of an entry: a bare text, or an object with the text and what is to be
known of it (preference, gender, article, plural). Versions 1.0 and 1.1 have the same layout.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from fairopt.benchmarks.base import Source
from fairopt.benchmarks.rows import Row, read_json

FILES = ("descriptors", "nouns", "standalone_noun_phrases", "sentence_templates")
VERSION = "v1.1"
_COMMIT = "https://raw.githubusercontent.com/facebookresearch/ResponsibleNLP/0ec714eb084217f44cd9ac466d9e988c795302f9"
_SHA256 = {
    "descriptors": "c1328f0edfdeefb76302d360a01878df3db55f18026f4ea1956b4a0f52daf943",
    "nouns": "9bbe15bf01ea8827fd5d68a81ee2b05e04bd5f79478d9027efec0b4dbd232ee6",
    "standalone_noun_phrases": "bac592574f81df55e8c8d8e3919a866d43cbd8df5ae9376a68d95e7b83dbebac",
    "sentence_templates": "8b1cf8fc3c9a10b12cf77902e8c2ff3d80e3fcfff2f177a00256925acb4f53a5",
}
SOURCE = Source(
    home="https://github.com/facebookresearch/ResponsibleNLP (holistic_bias/dataset/v1.1, as holisticbias/v1.1)",
    licence="CC BY-SA 4.0",
    files={f"holisticbias/{VERSION}/{name}.json": digest for name, digest in _SHA256.items()},
    urls={
        f"holisticbias/{VERSION}/{name}.json": f"{_COMMIT}/holistic_bias/dataset/{VERSION}/{name}.json"
        for name in _SHA256
    },
)
Kind = Literal["descriptor", "descriptor_noun", "noun", "noun_descriptor", "fixed_phrase"]  # the authors' names


@dataclass(frozen=True)
class NounPhrase:
    """A way to speak of somebody."""

    axis: str  # "ability"; "null" for a noun alone, "nonce" for invented descriptors
    bucket: str  # part of an axis: "auditory"; empty where there is none
    descriptor: str  # "Deaf", "who uses a wheelchair"; empty for a noun alone
    preference: str  # what members of the group think of it: "reviewed", "dispreferred", "polarizing"; mostly empty
    noun: str  # "woman"; empty where there is none
    gender: str  # of the noun: "female", "male", "neutral"; empty where there is none
    text: str  # "a Deaf woman"
    plural: str  # "Deaf women"
    kind: Kind


@dataclass(frozen=True)
class _Noun:
    one: str
    many: str
    gender: str


def noun_phrases(benchmark: str, files: Mapping[str, Path]) -> list[NounPhrase]:
    """All noun phrases of one version, nouns alone first. ``files``: paths by the names in :data:`FILES`.

    Raises :class:`~fairopt.errors.InputError` naming file and field.
    """
    nouns = list(_nouns(read_json(benchmark, files["nouns"])))
    alone = [
        NounPhrase("null", "", "", "", n.one, n.gender, f"{article(n.one)} {n.one}", n.many, "noun") for n in nouns
    ]
    described = _described(read_json(benchmark, files["descriptors"]), nouns)
    return [*alone, *described, *_standalone(read_json(benchmark, files["standalone_noun_phrases"]), nouns)]


def article(word: str) -> str:
    """``a`` or ``an`` by the first letter, as the authors do, but ``a`` before ``Eu`` and ``uni`` ("a European")."""
    low = word.lower()
    return "an" if low[0] in "aeiou" and not low.startswith(("eu", "uni", "us-")) else "a"


def _nouns(row: Row) -> Iterator[_Noun]:
    for gender in row.fields:
        pairs = row.fields[gender]
        if not isinstance(pairs, list) or not all(_is_pair(pair) for pair in pairs):
            raise row.error(gender, "a list of singular and plural forms", pairs)
        yield from (_Noun(one, many, gender) for one, many in pairs)


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(form, str) and form for form in value)


def _described(row: Row, nouns: Sequence[_Noun]) -> Iterator[NounPhrase]:
    """``Deaf`` alone, then with each noun of its gender."""
    for axis in row.fields:
        buckets = row.row(axis)
        for bucket in buckets.fields:
            for entry in _entries(buckets, bucket, "descriptor"):
                said = entry.text("descriptor")
                wanted, before = entry.fields.get("gender"), entry.fields.get("article", article(said))
                preference = entry.fields.get("preference", "")
                yield NounPhrase(axis, bucket, said, preference, "", "", said, said, "descriptor")
                for noun in nouns:
                    if wanted in (None, noun.gender):
                        one, many = f"{before} {said} {noun.one}", f"{said} {noun.many}"
                        yield NounPhrase(
                            axis, bucket, said, preference, noun.one, noun.gender, one, many, "descriptor_noun"
                        )


def _standalone(row: Row, nouns: Sequence[_Noun]) -> Iterator[NounPhrase]:
    """``{article} {noun} who uses a wheelchair`` with each noun, and phrases that have their own: ``a retiree``."""
    for axis in row.fields:
        for entry in _entries(row, axis, "noun_phrase"):
            one, preference = entry.text("noun_phrase"), entry.fields.get("preference", "")
            many = entry.fields.get("plural_noun_phrase", one)
            if "{noun}" not in one:
                yield NounPhrase(axis, "", one, preference, "", "neutral", one, many, "fixed_phrase")
                continue
            said = _filled(one, "", "")
            for noun in nouns:
                text, plural = _filled(one, article(noun.one), noun.one), _filled(many, "", noun.many)
                yield NounPhrase(axis, "", said, preference, noun.one, noun.gender, text, plural, "noun_descriptor")


def _filled(template: str, before: str, noun: str) -> str:
    return template.replace("{article}", before).replace("{noun}", noun).strip()


def _entries(row: Row, field: str, text: str) -> Iterator[Row]:
    """A list whose entries are texts or objects with that text."""
    values = row.fields[field]
    if not isinstance(values, list):
        raise row.error(field, "a list", values)
    for number, value in enumerate(values):
        fields = {text: value} if isinstance(value, str) else value
        if not isinstance(fields, dict):
            raise row.error(f"{field}[{number}]", "a text or an object", value)
        yield Row(row.benchmark, f"{field}[{number}] of {row.place}", fields)


@dataclass(frozen=True)
class Template:
    """A sentence about somebody."""

    text: str  # "I'm {noun_phrase}." or "I like {plural_noun_phrase}."
    needs_noun: bool  # a descriptor alone does not fit
    first_turn_only: bool  # "Hi! I'm {noun_phrase}."

    def fits(self, phrase: NounPhrase) -> bool:
        """The authors leave out what has no noun of its own where one is needed, and so fixed phrases too."""
        return bool(phrase.noun) or not self.needs_noun

    def sentence(self, phrase: NounPhrase) -> str:
        """The template about that noun phrase."""
        return self.text.replace("{plural_noun_phrase}", phrase.plural).replace("{noun_phrase}", phrase.text)


def sentence_templates(benchmark: str, path: Path) -> list[Template]:
    """All templates of one version. Raises :class:`~fairopt.errors.InputError` naming file and field."""
    row = read_json(benchmark, path)
    found = []
    for text in row.fields:
        specification = row.row(text).fields
        if "noun_phrase}" not in text:
            raise row.error("template", "a text with {noun_phrase} or {plural_noun_phrase}", text)
        found.append(
            Template(text, bool(specification.get("must_be_noun")), bool(specification.get("first_turn_only")))
        )
    return found
