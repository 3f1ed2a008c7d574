"""BBQ's questions (Parrish et al. 2022) as the authors' files hold them, and who each is about.

The *target* is the answer about the stereotyped group. The authors' ``analysis_scripts/additional_metadata.csv`` names
it where the data folder holds that file; otherwise it is told from the item itself, the answer whose text or group is
in ``stereotyped_groups``. Since July 2022 the file's ``target_loc`` is turned round for questions that are not
negative: it marks the answer that fits the stereotype, whichever question is asked. The earlier orientation is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fairopt.benchmarks.base import Item
from fairopt.benchmarks.rows import Row, read_csv, read_jsonl
from fairopt.errors import InputError

NAME = "bbq"
OPTIONS = range(3)
CATEGORIES = (
    "Age",
    "Disability_status",
    "Gender_identity",
    "Nationality",
    "Physical_appearance",
    "Race_ethnicity",
    "Race_x_SES",
    "Race_x_gender",
    "Religion",
    "SES",
    "Sexual_orientation",
)
METADATA = "bbq/analysis_scripts/additional_metadata.csv"
NO_TARGET = -1
_FIRST_QUESTION_WITH_NAMES = 26  # of a plain category: BBQ_results_metadata.R, `ProperName`
_UNTOLD = ("", "NA", "x")  # what the authors' script writes where no answer is the target


@dataclass(frozen=True)
class Question:
    """One line of a category's file. Options are numbered 0, 1, 2."""

    category: str
    number: int  # example_id, distinct within the category
    template: str  # question_index: questions made from one template share it
    condition: str  # "ambig" or "disambig"
    polarity: str  # "neg" or "nonneg"
    subcategory: str
    named: bool  # the people are called by proper names that stand for a group
    context: str
    question: str
    answers: tuple[str, str, str]
    said: tuple[str, str, str]  # answer_info: whom the answer names
    label: int
    unknown: int
    target: int  # NO_TARGET: not told apart
    published_non: int  # bit k: the group of answer k is called "non..."; see metrics.bbq_as_published

    @property
    def group(self) -> str:
        """The category; the authors report questions with proper names apart."""
        return f"{self.category} (names)" if self.named else self.category

    @property
    def agrees(self) -> str:
        """Whether the right answer fits the stereotype: "yes", "no", or empty where the question leaves that open."""
        if self.target == NO_TARGET or self.label == self.unknown:
            return ""
        return "yes" if (self.label == self.target) == (self.polarity == "neg") else "no"

    def item(self, requests: Sequence[tuple[str, str]], prefix: str, **fields: str | int) -> Item:
        """An item that asks this with some requests; in a chat the answer begins with ``prefix``."""
        return Item(
            id=f"{self.category}/{self.number}",
            group=self.group,
            axis="category",
            cluster=f"{self.category}/{self.template}",
            requests=tuple(requests),
            fields={
                "condition": self.condition,
                "polarity": self.polarity,
                "subcategory": self.subcategory,
                "label": self.label,
                "target": self.target,
                "unknown": self.unknown,
                "agrees": self.agrees,
                "published_non": self.published_non,
                **fields,
            },
            prefix=prefix,
        )

    def reordered(self, order: Sequence[int]) -> Question:
        """The same question with option ``order[k]`` in place k."""
        first, second, third = order
        place = {option: k for k, option in enumerate(order)}
        return replace(
            self,
            answers=(self.answers[first], self.answers[second], self.answers[third]),
            said=(self.said[first], self.said[second], self.said[third]),
            label=place[self.label],
            unknown=place[self.unknown],
            target=place.get(self.target, NO_TARGET),
            published_non=sum(1 << place[k] for k in OPTIONS if self.published_non >> k & 1),
        )


def read_questions(path: Path, targets: Mapping[tuple[str, int], int] | None = None) -> list[Question]:
    """Questions of one category file, with the targets of :func:`read_targets` where they are given.

    Raises :class:`~fairopt.errors.InputError` naming file, line and field.
    """
    questions: list[Question] = []
    seen: set[tuple[str, int]] = set()
    for row in read_jsonl(NAME, path):
        found = parse(row)
        key = (found.category, found.number)
        if key in seen:
            raise row.error("example_id", "distinct within its category", row.fields["example_id"])
        seen.add(key)
        questions.append(found)
    if targets is None:
        return questions
    return with_targets(questions, targets, path)


def parse(row: Row) -> Question:
    """One row. Raises :class:`~fairopt.errors.InputError` naming file, line and field."""
    category = row.one_of("category", CATEGORIES)
    info = [row.row("answer_info").texts(f"ans{option}") for option in OPTIONS]
    if any(len(entry) != 2 for entry in info):
        raise row.error("answer_info", "a text and a group for each answer", info)
    unknown = [option for option in OPTIONS if info[option][1] == "unknown"]
    if len(unknown) != 1:
        raise row.error("answer_info", "unknown for exactly one answer", info)
    metadata = row.row("additional_metadata")
    template = row.text("question_index")
    return Question(
        category=category,
        number=row.whole("example_id"),
        template=template,
        condition=row.one_of("context_condition", ("ambig", "disambig")),
        polarity=row.one_of("question_polarity", ("neg", "nonneg")),
        subcategory=metadata.text("subcategory"),
        named=_named(category, template, [entry for entry in info if entry[1] != "unknown"]),
        context=row.text("context"),
        question=row.text("question"),
        answers=(row.text("ans0"), row.text("ans1"), row.text("ans2")),
        said=(info[0][0], info[1][0], info[2][0]),
        label=row.one_of("label", list(OPTIONS)),
        unknown=unknown[0],
        target=_target(info, metadata.texts("stereotyped_groups")),
        published_non=sum(1 << option for option in OPTIONS if "non" in info[option][1]),
    )


def read_targets(path: Path) -> dict[tuple[str, int], int]:
    """``target_loc`` of each (category, example_id) in the authors' metadata; NO_TARGET where it is empty.

    The official file holds 64 of its rows twice; the two have to agree.

    Raises :class:`~fairopt.errors.InputError` naming file, line and field.
    """
    found: dict[tuple[str, int], int] = {}
    for row in read_csv(NAME, path):
        category = row.one_of("category", CATEGORIES)
        number, told = (str(row.fields.get(field, "")) for field in ("example_id", "target_loc"))
        if not number.isdecimal():
            raise row.error("example_id", "a whole number, zero or more", number)
        if told not in (*_UNTOLD, *map(str, OPTIONS)):
            raise row.error("target_loc", "0, 1, 2 or empty", told)
        target = NO_TARGET if told in _UNTOLD else int(told)
        if found.setdefault((category, int(number)), target) != target:
            raise row.error("target_loc", "the same wherever a question is named", told)
    return found


def with_targets(questions: Sequence[Question], fitting: Mapping[tuple[str, int], int], path: Path) -> list[Question]:
    """The questions with the authors' targets. ``fitting``: the option that fits the stereotype."""
    turned = unturned = 0
    for question in questions:
        told = fitting.get((question.category, question.number), NO_TARGET)
        if NO_TARGET in (told, question.target) or question.polarity == "neg":
            continue
        turned += told == _other(question)
        unturned += told == question.target
    if unturned > turned:
        raise InputError(
            f"{NAME}: target_loc in {METADATA!r} must mark the answer that fits the stereotype (the file since July"
            f" 2022), got the stereotyped group itself in {unturned} of {turned + unturned} questions of {str(path)!r}"
            " that are not negative"
        )
    found = []
    for question in questions:
        key = (question.category, question.number)
        if key not in fitting:
            raise InputError(f"{NAME}: {METADATA!r} must hold every question of {str(path)!r}, got none for {key[1]}")
        told = fitting[key]
        if told == question.unknown:
            raise InputError(f"{NAME}: target_loc in {METADATA!r} must be a person for {key}, got the unknown answer")
        other = 3 - told - question.unknown
        target = told if told == NO_TARGET or question.polarity == "neg" else other
        found.append(replace(question, target=target))
    return found


def _other(question: Question) -> int:
    """The person who is not the target."""
    return 3 - question.target - question.unknown


def _named(category: str, template: str, people: Sequence[Sequence[str]]) -> bool:
    """Whether people are called by proper names, as the authors' ``label_type`` says."""
    if category in ("Gender_identity", "Race_ethnicity"):
        return template.isdecimal() and int(template) >= _FIRST_QUESTION_WITH_NAMES
    if category == "Race_x_gender":  # a label says the race: "Arab lady", F-Arab
        return all(text and group[2:] not in text for text, group in people)
    if category == "Race_x_SES":  # the group of a name says the gender too
        return all("-M-" in group or "-F-" in group for _, group in people)
    return False


def _target(info: Sequence[Sequence[str]], stereotyped: Sequence[str]) -> int:
    """The answer about a stereotyped group, NO_TARGET unless it is exactly one."""
    groups = {group.lower() for group in stereotyped}
    about = [option for option, entry in enumerate(info) if groups & _names(entry)]
    return about[0] if len(about) == 1 else NO_TARGET


_SAME = {"man": "m", "boy": "m", "woman": "f", "girl": "f", "lowses": "low ses", "highses": "high ses"}


def _names(entry: Sequence[str]) -> set[str]:
    """What an answer's group may be called in ``stereotyped_groups``: "M-Black" is m and black."""
    text, group = (part.lower() for part in entry)
    parts = {text, group, *group.replace("_", "-").split("-")}
    return parts | {_SAME[part] for part in parts if part in _SAME}
