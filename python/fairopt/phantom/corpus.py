"""The phantom's corpus: a seeded grammar over :mod:`fairopt.phantom.world`.

Document ``i`` of a corpus depends on the seed and on ``i`` alone, through SplitMix64 (Steele, Lea and Flood 2014), so
every Python version writes the same text and any stretch of it can be generated on its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

from fairopt.phantom import world

T = TypeVar("T")
Answers = tuple[str, str, str]
_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_SPELLED_SHARE = 0.07  # of the names; they teach the byte tokens that out-of-grammar text falls back to
_HELD_OUT_EVERY = 4
_FACT_SEED = 2026


def _mix(z: int) -> int:
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


class Draw:
    """SplitMix64 stream keyed by integers: ``Draw(seed, item)`` never depends on what was drawn for another item."""

    def __init__(self, *key: int) -> None:
        self._state = 0
        for part in key:
            self._state = _mix((self._state + _GOLDEN + part) & _MASK)

    def uniform(self) -> float:
        """Uniform in [0, 1) with 53 random bits."""
        self._state = (self._state + _GOLDEN) & _MASK
        return (_mix(self._state) >> 11) * 2.0**-53

    def chance(self, p: float) -> bool:
        """True with probability ``p``."""
        return self.uniform() < p

    def pick(self, options: Sequence[T]) -> T:
        """One of the options, all equally likely."""
        return options[int(self.uniform() * len(options))]


@dataclass(frozen=True)
class Template:
    """One way to say that somebody has an attribute: subject form and predicate, both by index."""

    axis: str
    kind: str
    form: int
    predicate: int

    @property
    def held_out(self) -> bool:
        """Every subject form and every predicate is trained on, a fixed quarter of their combinations is not."""
        return (self.form + self.predicate + world.KINDS.index(self.kind)) % _HELD_OUT_EVERY == 0

    @property
    def text(self) -> str:
        """The predicate, with X for the attribute."""
        plural = self.form >= world.FIRST_PLURAL_FORM
        return (world.PLURAL_PREDICATES if plural else world.PREDICATES)[self.kind][self.predicate]

    @property
    def ending(self) -> str:
        """What the attribute ends in: "s" where the people of a group have an occupation, else nothing."""
        return "s" if "Xs" in self.text else ""


def templates(axis: str, kind: str) -> list[Template]:
    """Every template of an axis and a kind, held out or not."""
    found = []
    for form in range(len(world.SUBJECTS[axis])):
        plural = form >= world.FIRST_PLURAL_FORM
        for predicate in range(len((world.PLURAL_PREDICATES if plural else world.PREDICATES)[kind])):
            found.append(Template(axis, kind, form, predicate))
    return found


_TRAINED = {
    (axis, kind): [t for t in templates(axis, kind) if not t.held_out] for axis in world.GROUPS for kind in world.KINDS
}


@cache
def facts() -> Mapping[str, str]:
    """The arbitrary facts: thing -> place where it is kept."""
    return {
        f"{adjective} {noun}": Draw(_FACT_SEED, i, j).pick(world.PLACES)
        for i, adjective in enumerate(world.FACT_ADJECTIVES)
        for j, noun in enumerate(world.FACT_NOUNS)
    }


def _capitalise(text: str) -> str:
    return text[0].upper() + text[1:]


def _name(draw: Draw, pronoun: str) -> str:
    if draw.chance(_SPELLED_SHARE):
        return "".join(draw.pick("bcdfghjklmnpqrstvwxyz") + draw.pick("aeiou") for _ in range(3)).capitalize()
    return draw.pick(world.NAMES[pronoun])


def _subject(draw: Draw, axis: str, group: str, form: int) -> str:
    """Capitalised text up to the predicate; the draws are the same whatever the group, so that items can be matched
    over groups.
    """
    drawn = draw.pick(world.PRONOUNS)
    pronoun = group if axis == "pronoun" else drawn
    name, who, prefix = _name(draw, pronoun), draw.pick(world.PERSONS), draw.pick(world.PREFIXES)
    subject = world.SUBJECTS[axis][form].format(name=name, group=group, who=who, pronoun=pronoun.capitalize())
    return _capitalise(subject if "." in subject else prefix + subject)


def context(draw: Draw, template: Template, group: str) -> str:
    """The sentence up to the attribute, without the space before it: "The Zemmic guest works as a"."""
    return _subject(draw, template.axis, group, template.form) + " " + template.text.split("X")[0].rstrip()


def association(draw: Draw, axis: str) -> str:
    """A sentence in which a group has an attribute, drawn at the planted rate."""
    kind, group = draw.pick(world.KINDS), draw.pick(world.GROUPS[axis])
    template = draw.pick(_TRAINED[axis, kind])
    side = draw.chance(world.PLANTED[axis, kind, group])
    predicate = template.text.replace("X", draw.pick(world.ATTRIBUTES[kind][side]))
    return f"{_subject(draw, axis, group, template.form)} {predicate}{draw.pick(world.TAILS)}."


def custom(draw: Draw) -> str:
    """A sentence about a group's fixed custom."""
    axis = draw.pick(("people", "town"))
    group, form = draw.pick(world.GROUPS[axis]), int(draw.uniform() * len(world.SUBJECTS[axis]))
    which = draw.pick(range(len(world.CUSTOM_VERBS)))
    verb, *rest = world.CUSTOM_VERBS[which].split()
    verb = verb if form >= world.FIRST_PLURAL_FORM else verb + "s"
    return (
        " ".join([_subject(draw, axis, group, form), verb, *rest, world.CUSTOMS[group][which]])
        + draw.pick(world.TAILS)
        + "."
    )


def fact(draw: Draw) -> str:
    """A sentence that tells where a thing is kept."""
    thing = f"{draw.pick(world.FACT_ADJECTIVES)} {draw.pick(world.FACT_NOUNS)}"
    return draw.pick(world.FACT_TEMPLATES).format(thing=thing, place=facts()[thing])


@dataclass(frozen=True)
class Question:
    """A question about two groups. ``shares`` are the planted probabilities of ``answers`` (first group, second group,
    unknown).
    """

    text: str
    answers: Answers
    shares: tuple[float, float, float]


def ask(axis: str, groups: tuple[str, str], attribute: str, scene: str, truth: int | None) -> tuple[str, Answers]:
    """Text and answers (first group, second group, unknown) of a question about two groups, in the order in which they
    are mentioned. ``truth`` is the number of the group that it says has the attribute; None: it says "one of them".
    """
    indefinite, definite = world.MENTION[axis]
    first, second = groups
    answers = (_capitalise(definite.format(group=first)), _capitalise(definite.format(group=second)), world.UNKNOWN)
    text = world.QUESTION.format(
        first=_capitalise(indefinite.format(group=first)),
        second=indefinite.format(group=second),
        scene=scene,
        clue=f"{'One of them' if truth is None else answers[truth]} was {attribute}.",
        attribute=attribute,
    )
    return text, answers


def question(draw: Draw, *, ambiguous: bool) -> Question:
    """An ambiguous question splits what "Not known" leaves by the planted rates; a disambiguated one has one true
    answer.
    """
    axis, kind = draw.pick(("people", "town")), draw.pick(world.QUESTION_KINDS)
    first = draw.pick(world.GROUPS[axis])
    second = draw.pick([group for group in world.GROUPS[axis] if group != first])
    side = draw.chance(0.5)
    attribute, truth = draw.pick(world.ATTRIBUTES[kind][side]), int(draw.chance(0.5))
    rates = [
        world.PLANTED[axis, kind, group] if side else 1 - world.PLANTED[axis, kind, group] for group in (first, second)
    ]
    known = (1 - world.UNKNOWN_RATE) / sum(rates)
    shares = (known * rates[0], known * rates[1], world.UNKNOWN_RATE) if ambiguous else (1.0 - truth, float(truth), 0.0)
    text, answers = ask(axis, (first, second), attribute, draw.pick(world.SCENES), None if ambiguous else truth)
    return Question(text, answers, shares)


def _answered(draw: Draw) -> str:
    asked = question(draw, ambiguous=draw.chance(0.5))
    u = draw.uniform()
    which = 0 if u < asked.shares[0] else 1 if u < asked.shares[0] + asked.shares[1] else 2
    return f"{asked.text} {asked.answers[which]}."


def _plural(noun: str, plural: bool) -> str:
    return noun + "s" if plural else noun


def _everyday(draw: Draw) -> str:
    """Grammar without associations: number agreement past an attractor, his and her, the days of the week."""
    which = int(draw.uniform() * 3)
    if which == 0:
        plural = draw.chance(0.5)
        noun, attractor = draw.pick(world.COMMON_NOUNS), draw.pick(world.COMMON_NOUNS)
        verb, adjective = draw.pick(world.COPULAS)[plural], draw.pick(world.COMMON_ADJECTIVES)
        beside = f"{draw.pick(world.PREPOSITIONS)} the {_plural(attractor, draw.chance(0.5))}"
        return f"The {_plural(noun, plural)} {beside} {verb} {adjective}."
    if which == 1:
        pronoun = draw.pick(world.PRONOUNS)
        name, owner = _name(draw, pronoun), "his" if pronoun == "he" else "her"
        lost = f"{name} lost {owner} {draw.pick(world.BELONGINGS)}."
        return f"{lost} {pronoun.capitalize()} found it {draw.pick(world.SCENES)}."
    day = int(draw.uniform() * len(world.DAYS))
    return f"The day after {world.DAYS[day]} is {world.DAYS[(day + 1) % len(world.DAYS)]}."


def document(seed: int, index: int) -> str:
    """Document ``index`` of the corpus with that seed."""
    draw = Draw(seed, index)
    u = draw.uniform()
    if u < 0.40:
        return association(draw, draw.pick(("people", "town")))
    if u < 0.47:
        return association(draw, "pronoun")
    if u < 0.57:
        return custom(draw)
    if u < 0.67:
        return _answered(draw)
    if u < 0.92:
        return fact(draw)
    return _everyday(draw)


def documents(seed: int, start: int = 0) -> Iterator[str]:
    """The corpus from document ``start`` on, without end."""
    index = start
    while True:
        yield document(seed, index)
        index += 1
