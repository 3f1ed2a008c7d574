"""Base and variant side by side: the same items, asked in the same way, or not at all."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from fairopt.audit.descriptor import ModelSpec
from fairopt.audit.gates import Evidence
from fairopt.audit.health import of_items
from fairopt.audit.paired import Mask, Paired, chosen_rows
from fairopt.audit.result import Check
from fairopt.audit.store import Answers
from fairopt.benchmarks import Answer, Benchmark, Item, Text, item_columns
from fairopt.errors import NotComparable
from fairopt.metrics.text_health import Health, collapse, health

COLLAPSE = math.log(10)  # nats a token by which a variant reads the texts worse than its base: ten times the perplexity


@dataclass(frozen=True)
class Scored:
    """One model's answers to one benchmark, as the item table that metrics read."""

    items: Sequence[Item]
    answers: Answers
    columns: Mapping[str, npt.NDArray[Any]]

    @classmethod
    def of(cls, benchmark: Benchmark, items: Sequence[Item], answers: Answers) -> Scored:
        """Put evidence beside the items. Raises :class:`~fairopt.errors.NotComparable` where answers are to others."""
        if answers.item_ids != [item.id for item in items]:
            raise NotComparable(
                f"compare: items of {benchmark.name} must be the same on both sides, got other item ids"
            )
        evidence = [benchmark.evidence(item, given) for item, given in zip(items, answers.given, strict=True)]
        given_evidence = {
            name: np.asarray([row[name] for row in evidence]) for name in (evidence[0] if evidence else ())
        }
        return cls(items, answers, {**item_columns(items), **given_evidence})

    def where(self, chosen: Mask) -> Scored:
        """The chosen items only."""
        rows = np.flatnonzero(chosen).tolist()
        answers = replace(
            self.answers,
            item_ids=[self.answers.item_ids[row] for row in rows],
            given=[self.answers.given[row] for row in rows],
        )
        return Scored([self.items[row] for row in rows], answers, chosen_rows(self.columns, chosen))

    @cached_property
    def ll(self) -> npt.NDArray[np.float64]:
        """Log-likelihoods of all that the model read or wrote, nats; none of embeddings."""
        return np.array([answer.ll for answers in self.answers.given for answer in _spoken(answers)])

    @cached_property
    def entropy(self) -> npt.NDArray[np.float64]:
        """Of each item, over its requests as the possible answers, nats; NaN without scores for all of them."""
        found = np.full(len(self.items), np.nan)
        for row, answers in enumerate(self.answers.given):
            if not all(isinstance(answer, Answer) for answer in answers):
                continue
            ll = np.array([answer.ll for answer in answers])
            p = np.exp(ll - ll.max(initial=-np.inf))
            p /= p.sum()
            found[row] = -np.sum(p * np.log(p, where=p > 0, out=np.zeros_like(p)))
        return found

    @cached_property
    def texts(self) -> list[Text]:
        """All that the model wrote, item by item."""
        return [a for answers in self.answers.given for a in _spoken(answers) if isinstance(a, Text)]

    @cached_property
    def health(self) -> list[Health]:
        """Of each item's texts."""
        return of_items(self.answers.given)

    @cached_property
    def nats_per_token(self) -> float:
        """How surprising the texts are, a token; NaN without tokens.

        Where the model reads: the benchmark's texts to the model. Where it writes: its texts, but for empty ones, to
        the uncompressed model.
        """
        if self.texts:
            read = [(text.base_ll, text.base_tokens) for text in self.texts if text.text.strip()]
        else:
            read = [(a.ll, a.n_tokens) for answers in self.answers.given for a in _spoken(answers)]
        tokens = sum(n for _, n in read)
        return -math.fsum(ll for ll, _ in read) / tokens if tokens else math.nan


def _spoken(answers: Sequence[Any]) -> Iterator[Answer | Text]:
    """What has a likelihood, texts one by one."""
    for answer in answers:
        if isinstance(answer, tuple):
            yield from answer
        elif isinstance(answer, Answer):
            yield answer


@dataclass(frozen=True)
class Asked:
    """One benchmark with the answers of all models that a comparison needs."""

    benchmark: Benchmark
    base: Scored
    again: tuple[Scored, ...]  # the base model in other batches
    variant: Scored

    def where(self, chosen: Mask) -> Asked:
        """The chosen items only."""
        return replace(
            self,
            base=self.base.where(chosen),
            again=tuple(run.where(chosen) for run in self.again),
            variant=self.variant.where(chosen),
        )

    @property
    def collapsed(self) -> str:
        """Why the variant's answers cannot be read as preferences; empty where they can."""
        if self.variant.texts:
            gone = collapse(health(self.base.health), health(self.variant.health))
            return gone and f"{self.benchmark.name}: the variant's texts are not those of a language model ({gone})"
        before, after = self.base.nats_per_token, self.variant.nats_per_token
        if not after - before > COLLAPSE and not (math.isnan(after) and not math.isnan(before)):
            return ""
        return (
            f"{self.benchmark.name}: the variant reads the texts at {after:.1f} nats a token, the base at {before:.1f}:"
            " what it prefers is not interpretable"
        )


def evidence_of(asked: Asked, same_model: bool) -> dict[str, Evidence]:
    """Each metric of the benchmark, base against variant and base against base."""
    base, collapsed = asked.base.columns, asked.collapsed
    return {
        metric.id: Evidence(
            paired=Paired.of(metric, base, asked.variant.columns),
            again=tuple(Paired.of(metric, base, run.columns) for run in asked.again),
            same_model=same_model,
            collapsed=collapsed,
        )
        for metric in asked.benchmark.metrics
    }


def pairs_of(asked: Sequence[Asked]) -> dict[str, Paired]:
    """Each metric of the benchmarks, base against variant."""
    return {m.id: Paired.of(m, a.base.columns, a.variant.columns) for a in asked for m in a.benchmark.metrics}


def checks(base: ModelSpec, variant: ModelSpec, asked: Mapping[str, str]) -> tuple[Check, ...]:
    """What has to be the same on both sides. ``asked``: benchmark and version -> hash of the items that both answer."""
    found = [Check(f"data and prompts of {name}", digest[:12], digest[:12]) for name, digest in asked.items()]
    found.append(Check("tokenizer", base.tokenizer_hash[:12], variant.tokenizer_hash[:12]))
    found.append(Check("dtype", base.dtype, variant.dtype))
    for name in sorted({*base.engine, *variant.engine}):
        found.append(Check(name, base.engine.get(name, "none"), variant.engine.get(name, "none")))
    return tuple(found)


def require_comparable(base: ModelSpec, variants: Sequence[ModelSpec]) -> None:
    """Raise :class:`~fairopt.errors.NotComparable` naming the first difference that is not the model itself."""
    for variant in variants:
        for check in checks(base, variant, {}):
            if not check.same:
                found = f"got {check.variant} instead of {check.base}"
                raise NotComparable(f"compare: {check.name} of {variant.name} must be that of {base.name}, {found}")
