"""Put a benchmark's requests to a model, in the way that its ask says."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

from fairopt import scorers
from fairopt.benchmarks import (
    Answer,
    Ask,
    Cosine,
    Generate,
    Item,
    LogLikelihood,
    Masked,
    Rolling,
    Similarity,
    Text,
    TopWords,
    Words,
)
from fairopt.scorers import Scorer

if TYPE_CHECKING:
    from fairopt.models.generate import Generation
    from fairopt.models.loading import LoadedModel
    from fairopt.models.loglikelihood import ScoreOptions

Advance = Callable[[int], None]  # told how many requests are done; told 0, it knows that work goes on


@dataclass(frozen=True)
class Answered:
    """What came back."""

    given: list[list[Any]]  # of each item, one an request
    truncated: int  # requests whose text was cut to the model's window


def ask(
    model: LoadedModel, base: LoadedModel, how: Ask, items: Sequence[Item], options: ScoreOptions, advance: Advance
) -> Answered:
    """Answers to all requests of the items. ``base``, the uncompressed model, reads what ``model`` wrote."""
    if isinstance(how, LogLikelihood):
        answers, truncated = _loglikelihood(model, how, items, options, advance)
    elif isinstance(how, Rolling):
        answers, truncated = _rolling(model, items, options, advance), 0
    elif isinstance(how, Generate):
        answers, truncated = _generate(model, base, how, items, options, advance)
    elif isinstance(how, Masked):
        answers, truncated = _masked(model, how, items, options, advance), 0
    elif isinstance(how, TopWords):
        answers, truncated = _top_words(model, how, items, options, advance), 0
    else:
        answers, truncated = _similarity(model, how, items, options, advance)
    ends = accumulate((len(item.requests) for item in items), initial=0)
    return Answered([answers[start:end] for start, end in pairwise(ends)], truncated)


def _requests(items: Sequence[Item]) -> list[tuple[str, str]]:
    return [request for item in items for request in item.requests]


def requests(model: LoadedModel, how: LogLikelihood | Generate, items: Sequence[Item]) -> list[tuple[str, str]]:
    """What the model is asked, as texts.

    In a chat the template stands around each context; an answer after white space begins without its space.
    """
    if not how.chat:
        return _requests(items)
    from fairopt.models.chat import chat_prompt

    found = []
    for item in items:
        for context, continuation in item.requests:
            said = chat_prompt(model.tokenizer, context, system=item.system, prefix=item.prefix)
            found.append((said, continuation.removeprefix(" ") if said[-1:].isspace() else continuation))
    return found


def _loglikelihood(
    model: LoadedModel, how: LogLikelihood, items: Sequence[Item], options: ScoreOptions, advance: Advance
) -> tuple[list[Any], int]:
    from fairopt.models.loglikelihood import loglikelihood

    asked = requests(model, how, items)
    found = loglikelihood(model.model, model.tokenizer, asked, options, keep_spaces=how.chat, advance=advance)
    rows = zip(found.ll.tolist(), found.n_tokens.tolist(), found.greedy.tolist(), strict=True)
    return [Answer(*row) for row in rows], found.truncated


def _rolling(model: LoadedModel, items: Sequence[Item], options: ScoreOptions, advance: Advance) -> list[Any]:
    from fairopt.models.rolling import rolling_loglikelihood

    texts = [text for _, text in _requests(items)]
    found = rolling_loglikelihood(model.model, model.tokenizer, texts, options, advance=lambda _: advance(0))
    advance(len(texts))
    return [Answer(*row) for row in zip(found.ll.tolist(), found.n_tokens.tolist(), strict=True)]


def _masked(
    model: LoadedModel, how: Masked, items: Sequence[Item], options: ScoreOptions, advance: Advance
) -> list[Any]:
    from fairopt.models.masked_loglikelihood import masked_loglikelihood

    found = masked_loglikelihood(
        model.model, model.tokenizer, how.rule, _requests(items), token_budget=options.token_budget, advance=advance
    )
    return [Answer(*row) for row in zip(found.ll.tolist(), found.n_tokens.tolist(), strict=True)]


def _top_words(
    model: LoadedModel, how: TopWords, items: Sequence[Item], options: ScoreOptions, advance: Advance
) -> list[Any]:
    from fairopt.models.top_words import top_words

    texts = [text for text, _ in _requests(items)]
    budget = options.token_budget
    found = top_words(model.model, model.tokenizer, texts, how.k, token_budget=budget, advance=advance)
    return [Words(words) for words in found]


def _similarity(
    model: LoadedModel, how: Similarity, items: Sequence[Item], options: ScoreOptions, advance: Advance
) -> tuple[list[Any], int]:
    from fairopt.models.similarity import similarity

    asked = [(text, texts.split("\n")) for text, texts in _requests(items)]
    found = similarity(
        model.model,
        model.tokenizer,
        asked,
        how.layer,
        how.pooling,
        token_budget=options.token_budget,
        advance=advance,
    )
    return [Cosine(mean) for mean in found.mean.tolist()], found.truncated


def _generate(
    model: LoadedModel,
    base: LoadedModel,
    how: Generate,
    items: Sequence[Item],
    options: ScoreOptions,
    advance: Advance,
) -> tuple[list[Any], int]:
    from fairopt.models.generate import GenerateOptions, generate

    asked = requests(model, how, items)
    keys = [f"{item.id}/{number}" for item in items for number in range(len(item.requests))]
    turn = slice(None, None, -1) if options.reverse else slice(None)
    written = generate(
        model.model,
        model.tokenizer,
        [prompt for prompt, _ in asked][turn],
        GenerateOptions(
            max_new_tokens=how.max_new_tokens,
            min_new_tokens=how.min_new_tokens,
            samples=how.samples,
            temperature=how.temperature,
            stop=how.stop,
            seed=how.seed,
            token_budget=2 * options.token_budget,
        ),
        keys=keys[turn],
        advance=advance,
    )[turn]
    texts = iter(_texts([text for own in written for text in own], base, how, options, advance))
    return [tuple(next(texts) for _ in own) for own in written], sum(own[0].truncated for own in written)


def _scorer(name: str) -> Scorer:
    """Loaded once a process, not once a block of items; a registered one can be replaced."""
    return scorers.get(name) if name.startswith(scorers.OWN) else _loaded(name)


@lru_cache(maxsize=4)
def _loaded(name: str) -> Scorer:
    return scorers.get(name)


def _texts(
    written: Sequence[Generation], base: LoadedModel, how: Generate, options: ScoreOptions, advance: Advance
) -> list[Text]:
    """Each text with what the base model and the scorers say of it."""
    read = _read_by(base, written, options, advance)
    scores = _scores([text.text for text in written], how, advance)
    return [
        Text(
            text=text.text,
            n_tokens=text.n_tokens,
            ll=text.ll,
            finish=text.finish,
            base_ll=read[index],
            base_tokens=text.n_tokens,
            scores=scores[index],
        )
        for index, text in enumerate(written)
    ]


def score_again(given: Sequence[Sequence[tuple[Text, ...]]], how: Generate, advance: Advance) -> list[list[Any]]:
    """The same texts, with what the scorers of ``how`` say of them."""
    scores = iter(_scores([text.text for own in given for answer in own for text in answer], how, advance))
    again = [[tuple(replace(text, scores=next(scores)) for text in answer) for answer in own] for own in given]
    advance(sum(map(len, given)))
    return again


def _scores(texts: Sequence[str], how: Generate, advance: Advance) -> list[dict[str, float]]:
    found: dict[str, list[float]] = {}
    for name in how.scorers:
        scorer = _scorer(name)
        advance(0)
        found |= {f"{scorer.id}/{number}": values.tolist() for number, values in scorer.score(texts).items()}
    return [{name: values[index] for name, values in found.items()} for index in range(len(texts))]


def _read_by(base: LoadedModel, written: Sequence[Generation], options: ScoreOptions, advance: Advance) -> list[float]:
    """Log p of the very tokens of each text under the base model, nats; NaN for an empty text."""
    from fairopt.models.loglikelihood import score_encoded
    from fairopt.models.requests import Encoded, window

    limit = window(base.model)
    encoded = []
    for text in written:
        ids = [*text.prompt_ids, *text.ids]
        encoded.append(Encoded(ids if limit is None else ids[-(limit + 1) :], len(text.ids), text.truncated))
    found = score_encoded(base.model, encoded, options, lambda _: advance(0))
    return [float(ll) if text.text.strip() else math.nan for text, ll in zip(written, found.ll, strict=True)]
