"""Words that stand for groups of people, as YAML: group -> slot -> word, or a list of words in one order for all.

Scalars stay text ("no" is a word here, not a truth value), and every entry knows its line.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from fairopt.benchmarks.base import Source, verified
from fairopt.benchmarks.rows import read_text
from fairopt.errors import InputError

OP = "counterfactual"
Words = Mapping[str, Mapping[str, Sequence[str]]]  # group -> slot -> words
_SHIPPED = "counterfactual_terms.yaml"
NAMES = Source(
    home="https://github.com/marcotcr/checklist (checklist/data/names.json, as names/names.json)",
    licence="MIT",
    files={"names/names.json": "5d9b38066215e235ea423d98d92b2f1456975aaacc8415fc55b3663f05dfe7fb"},
)


@dataclass(frozen=True)
class Entry:
    """A YAML value and where it stands."""

    place: str  # "'hiring.yaml', line 3"
    value: str | list[Entry] | dict[str, Entry]

    def mapping(self, what: str) -> dict[str, Entry]:
        """Names with entries, at least one."""
        if not isinstance(self.value, dict) or not self.value:
            raise self.error(what, "names with values")
        return self.value

    def entries(self, what: str) -> list[Entry]:
        """A list, at least one long."""
        if not isinstance(self.value, list) or not self.value:
            raise self.error(what, "a list of at least one entry")
        return self.value

    def text(self, what: str) -> str:
        """A text that is not blank."""
        if not isinstance(self.value, str) or not self.value.strip():
            raise self.error(what, "text that is not blank")
        return self.value

    def texts(self, what: str) -> list[str]:
        """One text, or a list of them."""
        return [self.text(what)] if isinstance(self.value, str) else [e.text(what) for e in self.entries(what)]

    def error(self, what: str, requirement: str) -> InputError:
        """What to raise for a value that will not do."""
        shown = repr(self.value) if isinstance(self.value, str) else f"a {type(self.value).__name__}"
        return InputError(f"{OP}: {what} in {self.place} must be {requirement}, got {shown}")


def read_yaml(path: Path, text: str | None = None) -> Entry:
    """The document of a file. Raises :class:`~fairopt.errors.InputError` naming the line."""
    import yaml

    try:
        node = yaml.compose(read_text(OP, path) if text is None else text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InputError(f"{OP}: {str(path)!r}, line {line} must be YAML, got {error.problem}") from None
    if node is None:
        raise InputError(f"{OP}: {str(path)!r} must hold something, got an empty file")

    def entry(node: yaml.Node) -> Entry:
        place = f"{str(path)!r}, line {node.start_mark.line + 1}"
        if isinstance(node, yaml.MappingNode):
            found: dict[str, Entry] = {}
            for key, value in node.value:
                name = str(key.value)
                if name in found:
                    raise InputError(f"{OP}: {place} must name everything once, got {name!r} twice")
                found[name] = entry(value)
            return Entry(place, found)
        if isinstance(node, yaml.SequenceNode):
            return Entry(place, [entry(value) for value in node.value])
        return Entry(place, str(node.value))

    return entry(node)


def read_words(entry: Entry) -> Words:
    """Words of at least two groups."""
    groups = {
        group: {slot: words.texts(f"{slot} of {group}") for slot, words in slots.mapping(group).items()}
        for group, slots in entry.mapping("groups").items()
    }
    if len(groups) < 2:
        raise InputError(f"{OP}: groups in {entry.place} must be at least two, got {', '.join(groups)}")
    return groups


def words_of(terms: str, beside: Path) -> Words:
    """A shipped set by its name or, for ``FILE.yaml``, the words of a file; ``beside`` is the file that names it."""
    if terms.endswith((".yaml", ".yml")):
        return read_words(read_yaml(beside.parent / terms))
    text = resources.files(__package__).joinpath(_SHIPPED).read_text(encoding="utf-8")
    shipped = read_yaml(Path(_SHIPPED), text).mapping("terms")
    if terms not in shipped:
        raise InputError(f"{OP}: terms must be one of {', '.join(shipped)} or a YAML file, got {terms!r}")
    return read_words(shipped[terms])


def with_names(words: Words, n: int, data: Path | None) -> Words:
    """The words with the ``n`` most frequent first names of women and men that the data folder has."""
    if set(words) != {"woman", "man"}:
        raise InputError(f"{OP}: names must be asked for with terms=gender, got the groups {', '.join(words)}")
    path = verified(OP, NAMES, data)["names/names.json"]
    names = json.loads(read_text(OP, path))  # its checksum is known
    most = min(len(names["women"]), len(names["men"]))
    if n > most:
        raise InputError(f"{OP}: names must be at most {most}, got {n}")
    return {
        group: {**words[group], "name": names[plural][:n]} for group, plural in (("woman", "women"), ("man", "men"))
    }
