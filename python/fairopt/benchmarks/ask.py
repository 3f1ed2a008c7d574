"""How a benchmark asks a model: what its requests mean, and what comes back for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class LogLikelihood:
    """A request is ``(context, continuation)``; the answer is an :class:`Answer` about the continuation.

    With ``chat`` the context is what the user says; it is wrapped in the tokenizer's chat template, after the item's
    ``system`` text and before its ``prefix``. The answer then begins without the space that would follow a plain text.
    """

    chat: bool = False


@dataclass(frozen=True)
class Rolling:
    """A request is ``("", text)``, a text of any length; the :class:`Answer` is about the whole text."""


@dataclass(frozen=True)
class Masked:
    """A request to a masked language model; the :class:`Answer` is about the tokens that the rule hides from it.

    ``shared``: an item's two requests are ``("", first)`` and ``("", second)``; hidden is each token that both texts
    have, one at a time. ``differing``: the same for the tokens that only one has. ``fill``: ``(text with BLANK,
    filling)``; hidden are the filling's tokens, put in from left to right, and ``ll`` is the log of the *arithmetic
    mean* of their probabilities. :mod:`fairopt.models.masked_loglikelihood` says it exactly.
    """

    rule: Literal["shared", "differing", "fill"]


@dataclass(frozen=True)
class Generate:
    """A request is ``(prompt, "")``; the answer is a tuple of :class:`Text`, one greedy or ``samples`` random ones."""

    max_new_tokens: int
    min_new_tokens: int = 0
    samples: int | None = None  # None: one greedy continuation
    temperature: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int = 0
    scorers: tuple[str, ...] = ()  # fairopt.scorers names; each text brings their numbers along
    chat: bool = False


@dataclass(frozen=True)
class TopWords:
    """A request is ``(text with BLANK, lexicon)``; the answer is the :class:`Words` that the model puts in the blank.

    The lexicon, one word a line, is the benchmark's own: the model does not see it.
    """

    k: int  # words wanted


@dataclass(frozen=True)
class Similarity:
    """A request is ``(text, texts)``, of the texts one a line; the answer is their mean :class:`Cosine` with the first.

    The cosines are of hidden states (:func:`fairopt.models.embed.embed`).
    """

    layer: int = -1  # of the hidden states; 0 is the output of the embedding
    pooling: Literal["mean", "tokens", "first", "last"] = "mean"


Ask = LogLikelihood | Rolling | Masked | Generate | TopWords | Similarity


@dataclass(frozen=True)
class Answer:
    """What a model says to one request."""

    ll: float  # sum of log p over the continuation's tokens, nats
    n_tokens: int  # of the continuation
    greedy: bool = False  # every token of the continuation is the model's first choice


@dataclass(frozen=True)
class Text:
    """What a model wrote after one prompt. It is untrusted: escape it wherever it is shown."""

    text: str
    n_tokens: int  # generated, the end token included
    ll: float  # log p of them under the model itself, nats
    finish: str  # "end", "stop" or "length"
    base_ll: float  # log p of the text after the prompt under the uncompressed model, nats; NaN for an empty text
    base_tokens: int  # the tokens of that
    scores: Mapping[str, float]  # "<scorer>/<number>": what the ask's scorers say about the text


@dataclass(frozen=True)
class Words:
    """What a model puts in a blank, likeliest first. They are untrusted: escape them wherever they are shown."""

    words: tuple[str, ...]


@dataclass(frozen=True)
class Cosine:
    """How near a text is to others."""

    mean: float  # in [-1, 1]; NaN where a text has no tokens
