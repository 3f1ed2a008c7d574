"""Tokens of a text hidden from a masked language model, which says how likely each was: many texts at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fairopt.errors import InputError
from fairopt.models.requests import window


@dataclass(frozen=True)
class Mask:
    """One token to predict from all the others."""

    ids: Sequence[int]  # of the whole text, special tokens included
    position: int  # of the hidden token in ``ids``
    request: int  # what it belongs to


def check_masked(op: str, tokenizer: Any) -> None:
    """Raise :class:`~fairopt.errors.InputError` unless there is a token that hides another."""
    if tokenizer.mask_token_id is None:
        raise InputError(f"{op}: model must have a mask token, got a tokenizer without one")


def check_length(op: str, model: Any, tokenizer: Any, encoded: Sequence[Sequence[int]], name: str) -> None:
    """Raise :class:`~fairopt.errors.InputError` for token ids that the model cannot read at once."""
    limit = longest(model, tokenizer)
    for index, ids in enumerate(encoded):
        if len(ids) > limit:
            raise InputError(f"{op}: {name}[{index}] must have at most {limit} tokens, got {len(ids)}")


def longest(model: Any, tokenizer: Any) -> int:
    """Tokens, special ones included, that the model can read at once."""
    return int(min(positions(model) or tokenizer.model_max_length, tokenizer.model_max_length))


def positions(model: Any) -> int | None:
    """Tokens that the model has positions for: RoBERTa and its kin number them from the padding token's id on."""
    limit = window(model)
    embeddings = getattr(model.base_model, "embeddings", None)
    padding = getattr(getattr(embeddings, "position_embeddings", None), "padding_idx", None)
    return limit if limit is None or padding is None else limit - padding - 1


def predict(
    model: Any, tokenizer: Any, masks: Sequence[Mask], token_budget: int, advance: Callable[[int], None]
) -> npt.NDArray[np.float64]:
    """Of each mask log p of the token behind it, nats: [m].

    Batches hold texts of similar length; ``token_budget`` counts their tokens, padding included. ``advance`` is called
    with the number of masks just predicted.
    """
    from fairopt.models.engine import evaluating

    logp = np.empty(len(masks))
    with evaluating(model):
        for batch in _batches(masks, token_budget):
            logp[batch] = _predict(model, tokenizer, [masks[index] for index in batch])
            advance(len(batch))
    return logp


def _batches(masks: Sequence[Mask], token_budget: int) -> Iterator[list[int]]:
    batch: list[int] = []
    for index in sorted(range(len(masks)), key=lambda index: -len(masks[index].ids)):
        if batch and len(masks[batch[0]].ids) * (len(batch) + 1) > token_budget:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _predict(model: Any, tokenizer: Any, batch: Sequence[Mask]) -> npt.NDArray[np.float64]:
    """One forward pass, the head on the hidden positions alone."""
    import torch

    from fairopt.models import padded
    from fairopt.models.head import GivenLogits, Rows, score

    inputs = torch.full((len(batch), len(batch[0].ids)), tokenizer.pad_token_id or 0)
    attended, scored = torch.zeros_like(inputs), torch.zeros_like(inputs, dtype=torch.bool)
    for row, mask in enumerate(batch):
        inputs[row, : len(mask.ids)] = torch.tensor(mask.ids)
        inputs[row, mask.position] = tokenizer.mask_token_id
        attended[row, : len(mask.ids)] = 1
        scored[row, mask.position] = True
    logits = padded.forward(model, inputs, attended, scored)
    targets = np.array([mask.ids[mask.position] for mask in batch])
    return score(Rows(logits, GivenLogits(logits.shape[1]), np.arange(len(batch)), targets))[0]
