"""The word lists of UnQover: templates with slots, attributes, subjects, and a sample of what they make together.

Lines are ``[head] text`` or ``[head] class | text``; ``#`` begins a comment, blank lines separate. A template is
``text<TAB>question<TAB>negated question``; its slots are ``[subj1]``, ``[subj2]`` (``:dem`` for the demonym) and the
head of an attribute (``:neg`` for its opposite). Lines with heads of one kind are aligned by their order.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path

from fairopt.benchmarks.rows import Row, read_lines
from fairopt.errors import InputError

_BENCHMARK = "unqover"
_DEMONYM = ":dem"
_OPPOSITE = ":neg"
_SINGULAR = "-single"


@dataclass(frozen=True)
class Subject:
    """Somebody or some place that a text names."""

    label: str  # what counts as one subject: a religion; of first names their gender
    name: str
    demonym: str  # empty where there is none


@dataclass(frozen=True)
class Attribute:
    """What is asked about, and its opposite, as the words of one slot."""

    label: str  # the plural form: "were bad at music"; the same for both numbers
    kind: str  # the authors' class: "rude"; empty where there is none
    text: str
    opposite: str


@dataclass(frozen=True)
class Prompt:
    """A text about two subjects with a question and its negation; the answers are as the text names them."""

    context: str
    questions: tuple[str, str]
    answers: tuple[str, str]  # in the order of the subjects of the item, whatever their order in the text


@dataclass(frozen=True)
class Draw:
    """One item: a template, an attribute of its slot, and two subjects of which neither is first."""

    world: str
    template: int
    text: str
    slot: str
    attribute: Attribute
    subjects: tuple[Subject, Subject]

    @property
    def key(self) -> tuple[int, str, frozenset[str]]:
        """What two draws have in common that are one item."""
        return self.template, self.attribute.label, frozenset(subject.name for subject in self.subjects)

    @property
    def id(self) -> str:
        """The same whichever subject is first."""
        one, other = sorted(subject.name for subject in self.subjects)
        return f"{self.world}/{self.template:02d}/{self.attribute.label}/{one}|{other}"

    def prompts(self) -> tuple[Prompt, Prompt]:
        """With the first subject named first, and with the second."""
        return self._prompt(self.subjects), self._prompt(self.subjects[::-1])

    def _prompt(self, named: Sequence[Subject]) -> Prompt:
        text = self.text
        for head, words in (("", self.attribute.text), (_OPPOSITE, self.attribute.opposite)):
            text = text.replace(f"[{self.slot}{head}]", words)
        forms = {}
        for number, subject in enumerate(named, start=1):
            demonym = f"[subj{number}{_DEMONYM}]" in text
            forms[subject.name] = form = subject.demonym if demonym else subject.name
            text = text.replace(f"[subj{number}{_DEMONYM if demonym else ''}]", form)
        context, *questions = (_with_articles(part) for part in text.split("\t"))
        asked, negated = questions
        one, other = (forms[subject.name] for subject in self.subjects)
        return Prompt(context, (asked, negated), (one, other))


def _with_articles(text: str) -> str:
    """ "an" before a, e, i, o, u, whatever the sound, as the authors do."""
    return re.sub(r"\b([Aa]) (?=[AEIOUaeiou])", r"\1n ", text)


@dataclass(frozen=True)
class World:
    """One class of subjects with its templates and attributes."""

    name: str
    templates: Sequence[tuple[str, str]]  # text and the head of its attribute's slot
    attributes: Mapping[str, Sequence[Attribute]]  # by head
    pairs: Sequence[tuple[Subject, Subject]]  # in one order each

    @property
    def total(self) -> int:
        """Items that can be made."""
        return len(self.pairs) * sum(len(self.attributes[slot]) for _, slot in self.templates)

    def sample(self, size: int, seed: str) -> list[Draw]:
        """So many distinct items, or all; a larger sample of one seed begins with the smaller one."""
        found: dict[object, Draw] = {}
        number = 0
        while len(found) < min(size, self.total):
            draw = self._draw(f"{seed}/{self.name}/{number}")
            found.setdefault(draw.key, draw)
            number += 1
        return list(found.values())

    def _draw(self, key: str) -> Draw:
        digest = hashlib.sha256(key.encode()).digest()
        template, attribute, pair = (int.from_bytes(digest[8 * k : 8 * k + 8], "big") for k in range(3))
        text, slot = self.templates[template % len(self.templates)]
        own = self.attributes[slot]
        one, other = self.pairs[pair % len(self.pairs)]
        subjects = (one, other) if digest[-1] % 2 else (other, one)
        return Draw(self.name, template % len(self.templates), text, slot, own[attribute % len(own)], subjects)


def read_world(name: str, templates: Path, attributes: Path, subjects: Mapping[str, Path]) -> World:
    """A class of subjects from its lists. With two lists of subjects a pair has one of each.

    Raises :class:`~fairopt.errors.InputError` naming file, line and what is wrong.
    """
    known = _attributes(attributes)
    lists = [_subjects(label, path, labelled=len(subjects) > 1) for label, path in subjects.items()]
    pairs = list(combinations(lists[0], 2)) if len(lists) == 1 else list(product(lists[0], lists[1]))
    return World(name, _templates(templates, known), known, pairs)


def _lines(path: Path) -> Iterator[Row]:
    for row in read_lines(_BENCHMARK, path):
        if not row.text("line").lstrip().startswith("#"):
            yield row


def _templates(path: Path, attributes: Mapping[str, Sequence[Attribute]]) -> list[tuple[str, str]]:
    found = []
    for row in _lines(path):
        text = row.text("line").strip()
        slots = {slot for slot in attributes if f"[{slot}]" in text}
        if text.count("\t") != 2 or len(slots) != 1:
            requirement = f"a text, a question and its negation with one of {', '.join(attributes)}, separated by tabs"
            raise row.error("line", requirement, text)
        found.append((text, slots.pop()))
    return found


def _headed(path: Path) -> Iterator[tuple[Row, str, str, str]]:
    """Row, head, class and text of each line."""
    for row in _lines(path):
        match = re.fullmatch(r"\[([\w:-]+)\]\s*(?:([^|]*)\|)?([^|]*)", row.text("line").strip())
        if match is None or not match[3].strip():
            raise row.error("line", "[head] text or [head] class | text", row.fields["line"])
        yield row, match[1], (match[2] or "").strip(), match[3].strip()


def _attributes(path: Path) -> dict[str, list[Attribute]]:
    """By head, such as ``p_act-single``, the attributes with their opposites."""
    texts: dict[str, list[tuple[str, str]]] = {}
    for _, head, kind, text in _headed(path):
        texts.setdefault(head, []).append((kind, text))
    found = {}
    for head in (head for head in texts if not head.endswith(_OPPOSITE)):
        own, opposites = texts[head], texts.get(head + _OPPOSITE, [])
        labels = texts.get(head.removesuffix(_SINGULAR), [])
        if not len(own) == len(opposites) == len(labels):
            lengths = f"{len(own)}, {len(opposites)} and {len(labels)}"
            raise InputError(
                f"{_BENCHMARK}: {str(path)!r} must have as many lines [{head}] as opposites and plurals, got {lengths}"
            )
        found[head] = [
            Attribute(label, kind, text, opposite)
            for (kind, text), (_, opposite), (_, label) in zip(own, opposites, labels, strict=True)
        ]
    return found


def _subjects(label: str, path: Path, *, labelled: bool) -> list[Subject]:
    """``labelled``: all of them are one subject of that name, as first names are their gender."""
    names: list[str] = []
    demonyms: list[str] = []
    for row, head, _, text in _headed(path):
        if head not in ("subj", f"subj{_DEMONYM}"):
            raise row.error("line", f"[subj] or [subj{_DEMONYM}]", row.fields["line"])
        (demonyms if head.endswith(_DEMONYM) else names).append(text)
    if demonyms and len(demonyms) != len(names):
        raise InputError(
            f"{_BENCHMARK}: {str(path)!r} must have a demonym for each of {len(names)} subjects, got {len(demonyms)}"
        )
    padded = demonyms or [""] * len(names)
    return [Subject(label if labelled else name, name, demonym) for name, demonym in zip(names, padded, strict=True)]
