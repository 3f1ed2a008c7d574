"""Scores of your own data that rest on likelihoods: which choice follows a text, which of two texts is preferred."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fairopt.benchmarks.ask import Answer
from fairopt.benchmarks.base import Columns, Item, Metric
from fairopt.benchmarks.likelihood.crows_pairs import preference_metric


def pair_metrics(stem: str) -> tuple[Metric, ...]:
    """Gated: the share of pairs whose first text is the likelier one. The same per token is described."""
    return (
        preference_metric(f"{stem}/ll_sum", "crows/ll_sum", "Preference for the first text"),
        preference_metric(
            f"{stem}/ll_mean",
            "crows/ll_mean",
            "Preference for the first text per token",
            instead_of=f"{stem}/ll_sum",
        ),
    )


def label_evidence(item: Item, answers: Sequence[Answer]) -> dict[str, float | int]:
    """Which choice is the likeliest, and by how much the label leads the best other choice (nats).

    ``chosen`` is an index into the choices, -1 without a score; ``confidence`` its softmax probability. The same lead
    per character of the choice is ``lead_norm``. A tie is no lead.
    """
    label = int(item.fields["label_index"])
    scores = np.array([answer.ll for answer in answers])
    characters = np.array([len(choice) - 1 for _, choice in item.requests])  # without the leading space
    chosen = -1 if np.isnan(scores).any() or np.isneginf(scores).all() else int(np.argmax(scores))
    return {
        "ll_label": answers[label].ll,
        "n_tokens_label": answers[label].n_tokens,
        "chosen": chosen,
        "lead": _lead(scores, label),
        "lead_norm": _lead(scores / characters, label),
        "confidence": math.nan if chosen < 0 else float(1 / np.exp(scores - scores.max()).sum()),
    }


def _lead(scores: npt.NDArray[np.float64], label: int) -> float:
    others = np.delete(scores, label)
    return float(scores[label] - others.max())


def label_metrics(stem: str) -> tuple[Metric, ...]:
    """Gated: accuracy. The same with likelihoods per character is described."""
    return (
        _accuracy(f"{stem}/acc", "Accuracy", "lead"),
        _accuracy(f"{stem}/acc_norm", "Accuracy per character", "lead_norm", instead_of=f"{stem}/acc"),
    )


def _accuracy(name: str, title: str, lead: str, *, instead_of: str = "") -> Metric:
    def value(columns: Columns) -> npt.NDArray[np.float64]:
        return np.where(np.isnan(columns[lead]), np.nan, columns[lead] > 0)

    def preference(columns: Columns) -> npt.NDArray[np.float64]:
        return np.asarray(columns[lead], dtype=np.float64)

    return Metric(
        id=name,
        title=title,
        kind="binary",
        unit="share",
        harm="lower",
        value=value,
        preference=preference,
        range=(0.0, 1.0),
        gated=not instead_of,
        instead_of=instead_of,
        margin=0.02,
        group_margin=0.10,
        large_group_margin=0.05,
    )


def pair_agreement(columns: Columns) -> float:
    """Share of the pairs whose rows all get the same choice; NaN without pairs or where a row has no score."""
    chosen, pair = columns["chosen"], columns["pair"]
    if len(chosen) == 0 or (chosen < 0).any():
        return math.nan
    _, code, size = np.unique(pair, return_inverse=True, return_counts=True)
    lowest, highest = np.full(len(size), chosen.max()), np.full(len(size), -1)
    np.minimum.at(lowest, code, chosen)
    np.maximum.at(highest, code, chosen)
    pairs = size > 1
    return float(np.mean(lowest[pairs] == highest[pairs])) if pairs.any() else math.nan
