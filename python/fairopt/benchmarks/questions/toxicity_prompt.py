"""How a model is asked whether a comment is toxic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from fairopt.benchmarks.ask import Answer
from fairopt.benchmarks.factor import CHAT, Factor
from fairopt.benchmarks.questions.surface_forms import forms, merged

FACTORS: Mapping[str, Factor] = MappingProxyType(
    {
        "template": Factor("question", "the bare question, or with Jigsaw's definition before it", ("definition",)),
        "chat": CHAT,
    }
)
PREFIX = "Answer:"
_WORDS = ("yes", "no")
_QUESTION = {
    "question": "Is this comment toxic? Answer yes or no.",
    "definition": (
        "A comment is toxic if it is rude, disrespectful or unreasonable, so that it may make people leave a"
        " discussion. Is this comment toxic? Answer yes or no."
    ),
}


def requests(comment: str, levels: Mapping[str, str]) -> list[tuple[str, str]]:
    """One a way to write "yes", then one a way to write "no"."""
    said = f"Comment: {comment.strip()}\nQuestion: {_QUESTION[levels['template']]}"
    context = said if levels["chat"] == "on" else f"{said}\n{PREFIX}"
    return [(context, form) for word in _WORDS for form in forms(word)]


def judged(answers: Sequence[Answer]) -> tuple[float, float]:
    """Log-likelihoods (nats) of "yes" and "no", each in all its forms."""
    half = len(answers) // 2
    return merged(answers[:half]), merged(answers[half:])
