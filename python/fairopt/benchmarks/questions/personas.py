"""One decision about a 20-year-old white woman, written about 134 other people: a substitution that checks itself.

For DiscrimEval where the authors' 9,450 texts are not at hand. What the rules do not know how to rewrite is refused
with the reason, never rewritten by guess.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

AGES = tuple(str(age) for age in range(20, 101, 10))
GENDERS = ("female", "male", "non-binary")
RACES = ("white", "Black", "Asian", "Hispanic", "Native American")

_AGE = r"\b(?P<article>an?(?:\(n\))? )?20(?P<unit>[- ]year[- ]old)\b"
_AGE_WORDS = re.compile(r"\b(young|youth|teen|elderly|20 years)\b", re.IGNORECASE)
_GENDER_WORDS = re.compile(r"\b(wom[ae]n|lady|girl|mother|daughter|wife|sister|mrs|ms|he|him|his)\b", re.IGNORECASE)
# "she" and a verb in -s, as "they" needs it. Verbs without -s stay: "she would", "she applied".
_PLURAL = {
    "has": "have", "is": "are", "was": "were", "does": "do", "doesn't": "don't", "hasn't": "haven't", "isn't": "aren't",
    **{
        verb + "s": verb
        for verb in (
            "appear", "attend", "believe", "claim", "hope", "lack", "like", "live", "maintain", "make", "meet", "need",
            "own", "pay", "plan", "prefer", "provide", "rent", "run", "seek", "seem", "show", "want", "work",
        )
    },
}  # fmt: skip
_VERBS = "|".join(map(re.escape, _PLURAL))
_ADVERB = r"(?:also |never |currently |still |now |often |always )?"
# "her" as an object: before these words, or after a verb of giving. Before any other word it is a possessive.
_OBJECT = re.compile(
    r"\b(?:(?<=grant )|(?<=give )|(?<=allow ))her\b"
    r"|\bher\b(?=\s*(?:[.,;:?!]|$)|\s+(?:to|a|an|the|this|and|or|but|access|for|from|in|on|if|with|by|at|as)\b)",
)


@dataclass(frozen=True)
class Persona:
    """Who a decision is about."""

    age: str
    gender: str
    race: str


PERSONAS = tuple(Persona(age, gender, race) for age in AGES for gender in GENDERS for race in RACES)


def unfit(text: str) -> str:
    """Why a text about a 20-year-old white woman cannot be written about the others; empty where it can."""
    counts = {len(re.findall(pattern, text)) for pattern in (_AGE, r"\bwhite\b", r"\bfemale\b")}
    if counts in ({0}, {1, 0}) or 0 in counts:
        return "it does not name age, gender and race"
    if len(counts) > 1 or len(_phrases(text)) != counts.pop():
        return "age, gender and race are not those of one person"
    rest = re.sub(_AGE, "", text)
    for words in (_AGE_WORDS, _GENDER_WORDS):
        if found := words.search(rest):
            return f"it says {found.group()!r}, which does not fit all"
    return ""


def written(text: str, persona: Persona) -> str:
    """The text about another person; :func:`unfit` must have nothing against it."""

    def aged(found: re.Match[str]) -> str:
        article = found["article"] or ""
        if persona.age == "80" and re.fullmatch(r"[Aa] ", article):
            article = article[0] + "n "  # as it is spoken: an eighty-year-old
        return f"{article}{persona.age}{found['unit']}"

    text = re.sub(_AGE, aged, _of_gender(text, persona.gender), flags=re.IGNORECASE)
    return re.sub(r"\bwhite\b", persona.race, text)


def _phrases(text: str) -> Sequence[str]:
    """Where age, gender and race stand beside each other."""
    near = r"(?:[\s,]+\w+)?[\s,]+"
    groups = rf"(?:white{near}female|female{near}white)"
    return re.findall(rf"{_AGE[2:]}{near}{groups}\b".replace("?P<article>", "").replace("?P<unit>", ""), text)


@cache
def _of_gender(text: str, gender: str) -> str:
    text = re.sub(r"\bfemale\b", gender, text)
    return text if gender == "female" else _with_pronouns(text, gender)


def _with_pronouns(text: str, gender: str) -> str:
    subject, object_, possessive, reflexive = (
        ("he", "him", "his", "himself") if gender == "male" else ("they", "them", "their", "themself")
    )
    if gender != "male":
        text = "".join(_plural(sentence) for sentence in re.split(r"(?<=[.?!])(?=\s+[A-Z])", text))
    text = _OBJECT.sub(object_, text)
    for word, other in (("she", subject), ("her", possessive), ("hers", f"{possessive}s"), ("herself", reflexive)):
        text = re.sub(rf"\b{word}\b", other, text)
        text = re.sub(rf"\b{word.capitalize()}\b", other.capitalize(), text)
    return text.replace("hiss", "his")


def _plural(sentence: str) -> str:
    """Verbs that "she" governs: right behind it, or behind a comma or conjunction before a next clause begins."""

    def plural(found: re.Match[str]) -> str:
        return found[1] + _PLURAL[found[2]]

    clauses = re.split(r"(?=\b[Ss]he\b|\b(?:that|which|who)\b)", sentence)
    for index, clause in enumerate(clauses):
        if re.match("[Ss]he", clause):
            behind = re.sub(rf"^([Ss]he\s+{_ADVERB})({_VERBS})\b", plural, clause)
            clauses[index] = re.sub(rf"((?:,| and| but| or| yet)\s+{_ADVERB})({_VERBS})\b", plural, behind)
    return "".join(clauses)
