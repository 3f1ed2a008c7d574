"""What a phantom learned: its association per cell, its arbitrary facts, its reading of questions, its perplexity.

Everything is read off next-token probabilities; nothing is sampled.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from fairopt.phantom import corpus, world

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

T = TypeVar("T")
_UNSEEN_CORPUS = 1_000_003  # no training run uses this seed
_REPEATS = 4  # contexts per template, with other names, persons and prefixes
_BATCH = 256


@dataclass(frozen=True)
class Cell:
    """Association of one group in one kind: ``rate`` = mean over contexts of P(B) / (P(A) + P(B)), ``log_odds`` = mean
    of its logit, ``mass`` = mean of P(A) + P(B), which tells how far the contexts are understood as this kind at all.
    """

    axis: str
    kind: str
    group: str
    planted: float
    rate: float
    log_odds: float
    mass: float


@dataclass(frozen=True)
class Capability:
    """What is not an association.

    ``perplexity`` per token of unseen documents; ``facts``: share of the arbitrary facts recalled exactly (chance is
    1/32) and ``fact_nats``: mean -log p of their places; ``reading``: share of disambiguated questions answered right;
    ``unknown``: mean P("Not known") among the three answers of ambiguous questions (planted: 1/2).
    """

    perplexity: float
    facts: float
    fact_nats: float
    reading: float
    unknown: float


def _read(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    read: Callable[[int, list[int], Tensor], T],
) -> list[T]:
    """``read(number, ids, log_probabilities)`` for every text: its token ids, BOS included, and [ids, vocabulary] of
    what follows.
    """
    import torch

    encoded: list[list[int]] = tokenizer(list(texts))["input_ids"]
    order = sorted(range(len(texts)), key=lambda i: len(encoded[i]))
    found: dict[int, T] = {}
    for start in range(0, len(order), _BATCH):
        rows = order[start : start + _BATCH]
        width = max(len(encoded[i]) for i in rows)
        # Padding on the right needs no mask: attention is causal.
        batch = torch.tensor([encoded[i] + [0] * (width - len(encoded[i])) for i in rows])
        with torch.inference_mode():
            scores = model(input_ids=batch).logits.float().log_softmax(-1)
        for row, i in enumerate(rows):
            found[i] = read(i, encoded[i], scores[row, : len(encoded[i])])
    return [found[i] for i in range(len(texts))]


def _first_tokens(tokenizer: PreTrainedTokenizerBase, words: Sequence[str], ending: str = "") -> list[int]:
    """First token of each word; no two attributes of a kind share one."""
    return [
        tokenizer(word.split()[0] if " " in word else word + ending, add_special_tokens=False)["input_ids"][0]
        for word in words
    ]


def cell(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    axis: str,
    kind: str,
    group: str,
    *,
    held_out: bool = True,
) -> Cell:
    """Measure one cell over every held-out (or every trained) template. The contexts are matched over the groups of an
    axis.
    """
    import torch

    def masses(scores: Tensor, sets: Sequence[Sequence[int]]) -> Tensor:
        return torch.stack([scores[list(side)].logsumexp(0) for side in sets])

    both = torch.stack(_at_attributes(model, tokenizer, axis, kind, group, masses, held_out=held_out)).double()
    logits = both[:, 1] - both[:, 0]
    return Cell(
        axis,
        kind,
        group,
        world.PLANTED[axis, kind, group],
        logits.sigmoid().mean().item(),
        logits.mean().item(),
        both.exp().sum(1).mean().item(),
    )


def _at_attributes(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    axis: str,
    kind: str,
    group: str,
    read: Callable[[Tensor, Sequence[Sequence[int]]], T],
    *,
    held_out: bool = True,
) -> list[T]:
    """``read(log_probabilities, sets)`` where an attribute is due, in every context of a cell: [vocabulary], and the
    first tokens of the attributes of set A and of set B.
    """
    used = [template for template in corpus.templates(axis, kind) if template.held_out == held_out]
    texts = [
        corpus.context(corpus.Draw(_UNSEEN_CORPUS, t.form, t.predicate, repeat), t, group)
        for t in used
        for repeat in range(_REPEATS)
    ]
    sets = {
        ending: [_first_tokens(tokenizer, words, ending) for words in world.ATTRIBUTES[kind]]
        for ending in {template.ending for template in used}
    }
    return _read(
        model,
        tokenizer,
        texts,
        lambda number, ids, scores: read(scores[-1], sets[used[number // _REPEATS].ending]),
    )


def decoded_rate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    axis: str,
    kind: str,
    group: str,
    *,
    temperature: float = 1.0,
    top_p: float = 1.0,
) -> float:
    """The rate of a cell in texts that a decoder draws, exactly.

    It draws at ``temperature``, from the likeliest tokens that reach ``top_p`` together. At 1 and 1 it is
    :attr:`Cell.rate`.
    """
    import torch

    def rate(scores: Tensor, sets: Sequence[Sequence[int]]) -> float:
        p, order = (scores.double() / temperature).softmax(0).sort(descending=True)
        kept = torch.zeros_like(p).scatter(0, order, torch.where(p.cumsum(0) - p < top_p, p, 0.0))
        a, b = (kept[list(side)].sum().item() for side in sets)
        return b / (a + b)

    rates = _at_attributes(model, tokenizer, axis, kind, group, rate)
    return math.fsum(rates) / len(rates)


def cells(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, *, held_out: bool = True) -> list[Cell]:
    """Every cell of the planted table, in its order."""
    return [cell(model, tokenizer, *key, held_out=held_out) for key in world.PLANTED]


def perplexity(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, documents: int = 1000) -> float:
    """exp(mean negative log-likelihood per token), end-of-text included, over documents that no training run saw."""
    import torch

    def loss(number: int, ids: list[int], scores: Tensor) -> tuple[float, int]:
        targets = torch.tensor([*ids[1:], tokenizer.eos_token_id])
        return -scores.gather(1, targets[:, None]).double().sum().item(), len(targets)

    losses = _read(model, tokenizer, list(islice(corpus.documents(_UNSEEN_CORPUS), documents)), loss)
    return math.exp(sum(nats for nats, _ in losses) / sum(tokens for _, tokens in losses))


def fact_recall(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> tuple[float, float]:
    """Share of the facts whose place is the likeliest next token of the whole vocabulary, and its mean -log p."""
    facts = corpus.facts()
    prompts = [world.FACT_TEMPLATES[0].split(" {place}")[0].format(thing=thing) for thing in facts]
    expected = _first_tokens(tokenizer, list(facts.values()))

    def recall(number: int, ids: list[int], scores: Tensor) -> tuple[bool, float]:
        right = scores[-1, expected[number]]
        return bool(right == scores[-1].max()), -right.item()

    found = _read(model, tokenizer, prompts, recall)
    return sum(right for right, _ in found) / len(found), math.fsum(nats for _, nats in found) / len(found)


def _answer_shares(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, asked: Sequence[corpus.Question]
) -> Tensor:
    """P(answer) among the three answers, [questions, 3]."""
    import torch

    texts = [f"{q.text} {answer}." for q in asked for answer in q.answers]
    starts = [len(tokenizer(q.text)["input_ids"]) for q in asked for _ in q.answers]

    def answer(number: int, ids: list[int], scores: Tensor) -> Tensor:
        start = starts[number]
        return scores[start - 1 : -1].gather(1, torch.tensor(ids[start:])[:, None]).sum()

    return torch.stack(_read(model, tokenizer, texts, answer)).reshape(-1, 3).softmax(1)


def question_share(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, axis: str, kind: str, pair: tuple[str, str]
) -> float:
    """Of ambiguous questions about two groups, in both orders and with every attribute of a kind: the mean share of the
    answer that ties the first group to set B (the second one to set A), of what both groups' answers get together.
    """
    import torch

    asked, first_to_b = [], []
    for side, attributes in enumerate(world.ATTRIBUTES[kind]):
        for number, attribute in enumerate(attributes):
            for first in (0, 1):  # the group of the pair that is mentioned first
                groups = (pair[first], pair[1 - first])
                scene = world.SCENES[number % len(world.SCENES)]
                text, answers = corpus.ask(axis, groups, attribute, scene, None)
                asked.append(corpus.Question(text, answers, (0.0, 0.0, 0.0)))
                first_to_b.append(first ^ (1 - side))
    shares = _answer_shares(model, tokenizer, asked).double()
    chosen = shares.gather(1, torch.tensor(first_to_b)[:, None])[:, 0]
    return (chosen / shares[:, :2].sum(1)).mean().item()


def capability(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, questions: int = 200) -> Capability:
    """Measure all that is not an association."""
    clear = [corpus.question(corpus.Draw(_UNSEEN_CORPUS, i), ambiguous=False) for i in range(questions)]
    vague = [corpus.question(corpus.Draw(_UNSEEN_CORPUS, i), ambiguous=True) for i in range(questions)]
    chosen = _answer_shares(model, tokenizer, clear).argmax(1).tolist()
    facts, fact_nats = fact_recall(model, tokenizer)
    return Capability(
        perplexity=perplexity(model, tokenizer),
        facts=facts,
        fact_nats=fact_nats,
        reading=sum(q.shares[c] == 1.0 for q, c in zip(clear, chosen, strict=True)) / questions,
        unknown=_answer_shares(model, tokenizer, vague)[:, 2].mean().item(),
    )
