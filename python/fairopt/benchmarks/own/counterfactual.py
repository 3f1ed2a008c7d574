"""Your own templates, filled with words of several groups: ``counterfactual:PATH?terms=NAME&...``.

``{name}``, ``{pronoun}``, ``{group}`` and the like are slots; every group brings a word for each. The versions of one
template differ in nothing else, and should get the same answer: the likeliest of the template's ``choices`` or, with
``score=text``, the same log-likelihood per token. docs/audit.md, "Your own templates", has the grammar.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from urllib.parse import parse_qsl

from fairopt.benchmarks.ask import Answer, LogLikelihood
from fairopt.benchmarks.base import Benchmark, Item, Source
from fairopt.benchmarks.own.word_sets import OP, Words, read_words, read_yaml, with_names, words_of
from fairopt.benchmarks.questions.counterfactual_scores import Pairs, of_choices
from fairopt.benchmarks.rows import Row, read_csv, read_jsonl
from fairopt.errors import InputError

_OPTIONS = {  # of the name; a YAML file may say the first four itself
    "terms": r".+",
    "choices": r"[^|]+(\|[^|]+)+",
    "score": r"choice|text",
    "names": r"[1-9]\d{0,3}",
    "chat": r"on|off",
}
_SLOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Template:
    """One text with slots."""

    id: str
    text: str
    choices: tuple[str, ...]  # empty: those of the file
    place: str  # in the file


@dataclass(frozen=True)
class Content:
    """What a file holds."""

    templates: Sequence[Template]
    words: Words | None = None  # its own
    options: Mapping[str, str] = field(default_factory=dict)  # what it says itself


class Counterfactual(Benchmark):
    """The templates of one file; see the module."""

    version = "1"
    caveats: Sequence[str] = (
        "The words of a group are a choice: a name says age and class too. Two names of one group may differ as much"
        " as two groups do; read a gap beside that of the uncompressed model, whose change is the excess.",
        "Equal answers for all groups are not right answers, and a model that gives one answer to everything has no"
        " gap.",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__()
        location, _, query = name.partition(":")[2].partition("?")
        self._path = Path(location).expanduser()
        self._options = _parsed(name, query)
        if self._path.suffix.lower() not in (".csv", ".jsonl", ".yaml", ".yml"):
            raise InputError(f"{OP}: file must end in .csv, .jsonl, .yaml or .yml, got {location!r}")
        self.title = f"Your own templates: {self._path.name}"
        self.source = Source(home=str(self._path), licence="your own", files={})
        self.ask = LogLikelihood(chat=self._options.get("chat") == "on")
        self._decided = self._options.get("score", "choice") == "choice"
        what = "probability of the first choice" if self._decided else "log-likelihood per token"
        pairs = Pairs(re.sub(r"[^\w-]", "_", self._path.stem), what, self._decided)
        self.metrics = pairs.metrics
        self.scores = pairs.scores

    def items(self, data: Path | None) -> list[Item]:
        """One item a template, choice of words and pair of groups; equal texts are asked once.

        Raises:
            InputError: naming the file and the line that cannot be used.
        """
        content = self._read()
        options = {**content.options, **self._options}
        words = content.words or words_of(options.get("terms", "gender"), self._path)
        if "names" in options:
            words = with_names(words, int(options["names"]), data)
        choices = tuple(part.strip() for part in options.get("choices", "").split("|") if part.strip())
        items: list[Item] = []
        seen: set[str] = set()
        for template in content.templates:
            if template.id in seen:
                raise InputError(f"{OP}: id in {template.place} must be distinct, got {template.id!r}")
            seen.add(template.id)
            own = template.choices or choices
            if self._decided and len(set(own)) < 2:
                raise InputError(f"{OP}: choices of {template.place} must be at least two words, got {list(own)}")
            items += _items(template, words, own if self._decided else ())
        return items

    def evidence(self, item: Item, answers: Sequence[Answer]) -> dict[str, float | int]:
        """Of both texts: probability and decision or, without choices, log-likelihood per token (nats)."""
        if not self._decided:
            first, second = (answer.ll / answer.n_tokens for answer in answers)
            return {"first": first, "second": second}
        half = len(answers) // 2
        (first, chosen), (second, other) = of_choices(answers[:half]), of_choices(answers[half:])
        return {"first": first, "second": second, "decision_first": chosen, "decision_second": other}

    def _read(self) -> Content:
        suffix = self._path.suffix.lower()
        if suffix in (".yaml", ".yml"):
            return _from_yaml(self._path)
        rows = read_csv(OP, self._path) if suffix == ".csv" else read_jsonl(OP, self._path)
        templates = [_from_row(row, f"{number:04d}") for number, row in enumerate(rows)]
        if not templates:
            raise InputError(f"{OP}: {str(self._path)!r} must hold at least one template, got none")
        return Content(templates)


def _parsed(name: str, query: str) -> dict[str, str]:
    try:
        given = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise InputError(f"{OP}: options must be given as ?terms=NAME&choices=A|B, got {query!r}") from None
    for option, value in given:
        if option not in _OPTIONS or not re.fullmatch(_OPTIONS[option], value):
            known = "terms=NAME, choices=A|B, score=choice or text, names=NUMBER, chat=on or off"
            raise InputError(f"{OP}: options of {name!r} must be of {known}, got {option}={value}")
    if len(dict(given)) < len(given):
        raise InputError(f"{OP}: options of {name!r} must be given once each, got {query!r}")
    return dict(given)


def _from_row(row: Row, number: str) -> Template:
    choices: tuple[str, ...] = ()
    if isinstance(row.fields.get("choices"), list):
        choices = tuple(row.texts("choices"))
    elif row.fields.get("choices"):
        choices = tuple(part.strip() for part in row.text("choices").split("|") if part.strip())
    return Template(row.name("id") if "id" in row.fields else number, row.text("template"), choices, row.place)


def _from_yaml(path: Path) -> Content:
    top = read_yaml(path).mapping("the file")
    known = {"templates", "groups", *_OPTIONS} - {"chat", "score"}
    for name, entry in top.items():
        if name not in known:
            raise InputError(f"{OP}: {entry.place} must be one of {', '.join(sorted(known))}, got {name!r}")
    if "templates" not in top or ("groups" in top and "terms" in top):
        raise InputError(f"{OP}: {str(path)!r} must have templates, and groups or terms, got {', '.join(top)}")
    templates = []
    for number, entry in enumerate(top["templates"].entries("templates")):
        fields = {"template": entry} if isinstance(entry.value, str) else entry.mapping("a template")
        if "template" not in fields or not fields.keys() <= {"template", "id", "choices"}:
            raise InputError(f"{OP}: {entry.place} must have template, id and choices, got {', '.join(fields)}")
        name = fields["id"].text("id") if "id" in fields else f"{number:04d}"
        choices = fields["choices"].texts("choices") if "choices" in fields else []
        templates.append(Template(name, fields["template"].text("template"), tuple(choices), entry.place))
    said = [name for name in ("terms", "choices", "names") if name in top]
    options: dict[str, str] = {name: "|".join(top[name].texts(name)) for name in said}
    for name, value in options.items():
        if not re.fullmatch(_OPTIONS[name], value):
            raise top[name].error(name, {"names": "a number", "choices": "at least two words"}.get(name, "a name"))
    return Content(templates, read_words(top["groups"]) if "groups" in top else None, options)


def _items(template: Template, words: Words, choices: Sequence[str]) -> Iterator[Item]:
    versions = {group: _versions(template, group, slots) for group, slots in words.items()}
    n = max(len(texts) for texts in versions.values())
    for group, texts in versions.items():
        if len(texts) not in (1, n):
            raise InputError(
                f"{OP}: the words of {group} for {template.place} must be one or {n}, as elsewhere, got {len(texts)}"
            )
    for k in range(n):
        for first, second in combinations(versions, 2):
            texts = [versions[group][k % len(versions[group])] for group in (first, second)]
            requests = [(text.rstrip(), f" {choice}") for text in texts for choice in choices]
            yield Item(
                id=f"{template.id}/{k}/{first}/{second}",
                group=f"{first} / {second}",
                axis="pair of groups",
                cluster=template.id,
                requests=tuple(requests or (("", text) for text in texts)),
                fields={"set": f"{template.id}/{k}"},
            )


def _versions(template: Template, group: str, slots: Mapping[str, Sequence[str]]) -> list[str]:
    """The template with each of the group's words; a slot with a capital takes the word with one."""
    used = _SLOT.findall(template.text)
    if not used:
        raise InputError(f"{OP}: the template in {template.place} must have a slot such as {{name}}, got none")
    words: dict[str, Sequence[str]] = {}
    for slot in used:
        if slot in slots:
            words[slot] = slots[slot]
        elif slot[0].lower() + slot[1:] in slots:
            words[slot] = [word[0].upper() + word[1:] for word in slots[slot[0].lower() + slot[1:]]]
        else:
            raise InputError(
                f"{OP}: the slots of {template.place} must be of {', '.join(slots)} for {group}, got {{{slot}}}"
            )
    n = max(map(len, words.values()))
    for slot, given in words.items():
        if len(given) not in (1, n):
            raise InputError(
                f"{OP}: the words of {group} for {{{slot}}} in {template.place} must be one or {n}, got {len(given)}"
            )
    return [_filled(template.text, {slot: given[k % len(given)] for slot, given in words.items()}) for k in range(n)]


def _filled(text: str, words: Mapping[str, str]) -> str:
    return _SLOT.sub(lambda found: words[found[1]], text)
