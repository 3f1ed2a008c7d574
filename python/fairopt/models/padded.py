"""Batches of sequences padded on the right: the way to read that every causal transformers model understands.

It is the fallback for models that a token trie cannot serve. Padding is on the right, where causal attention never
looks. A model whose keys and values are quantised does look: padding would stand in their groups, and move the
last tokens, which are kept as they are. Such a model reads sequences of one length at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from fairopt.models.head import GivenLogits, Rows
from fairopt.models.trie import Ints, Sequences
from fairopt.nn.attached_cache import attached_cache

LOGITS = 2**24  # of one batch, 64 MiB in fp32; a single sequence may exceed it


def takes_padding(*models: Any) -> bool:
    """Whether a sequence means the same to all ``models`` with padding beside it."""
    return all(attached_cache(model) is None for model in models)


def batches(
    found: Sequences, token_budget: int, vocabulary: int, *, reverse: bool, padding: bool = True
) -> Iterator[Ints]:
    """Sequences of similar length, each batch within both budgets (a single sequence may exceed them).

    Without ``padding`` those of a batch have the same length.
    """
    lengths = np.diff(found.offsets) - 1
    order = np.argsort(lengths if reverse else -lengths, kind="stable")
    batch: list[int] = []
    width = rows = 0
    for i in order.tolist():
        wider, more = max(width, int(lengths[i])), rows + int(found.n_targets[i])
        over = wider * (len(batch) + 1) > token_budget or more * vocabulary > LOGITS
        if batch and (over or not (padding or lengths[i] == width)):
            yield np.array(batch)
            batch, wider, more = [], int(lengths[i]), int(found.n_targets[i])
        batch, width, rows = [*batch, i], wider, more
    if batch:
        yield np.array(batch)


def read(model: Any, found: Sequences, batch: Ints) -> Rows:
    """One forward pass over the sequences of a batch; the model's own head runs on the scored rows alone."""
    ids = [torch.from_numpy(found.tokens[found.offsets[i] : found.offsets[i + 1]]) for i in batch]
    n_targets = found.n_targets[batch].tolist()
    width = max(map(len, ids)) - 1
    inputs = torch.zeros(len(ids), width, dtype=torch.long)
    attended = torch.zeros_like(inputs)
    scored = torch.zeros(len(ids), width, dtype=torch.bool)
    for row, (sequence, k) in enumerate(zip(ids, n_targets, strict=True)):
        n = len(sequence) - 1
        inputs[row, :n] = sequence[:-1]
        attended[row, :n] = 1
        scored[row, n - k : n] = True
    logits = forward(model, inputs, attended, scored)
    targets = torch.cat([sequence[-k:] for sequence, k in zip(ids, n_targets, strict=True)])
    return Rows(logits, GivenLogits(logits.shape[1]), np.arange(len(targets)), targets.numpy())


def forward(model: Any, inputs: torch.Tensor, attended: torch.Tensor, scored: torch.Tensor) -> torch.Tensor:
    """Logits [rows, vocabulary] of the ``scored`` positions (bool [b, width]), row after row."""
    device, scored = model.device, scored.to(model.device)
    with _only_rows(model, scored) as narrowed:
        logits: torch.Tensor = model(
            input_ids=inputs.to(device), attention_mask=attended.to(device), use_cache=False
        ).logits
    return logits[0] if narrowed else logits[scored]


@contextmanager
def _only_rows(model: Any, scored: torch.Tensor) -> Iterator[list[bool]]:
    """Let the model's head see only the scored hidden states [1, rows, hidden]; yields a list, filled if it did."""
    narrowed: list[bool] = []

    def narrow(_module: Any, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        narrowed.append(True)
        return (inputs[0][scored][None], *inputs[1:])

    head = model.get_output_embeddings()
    if head is None:
        yield narrowed
        return
    hook = head.register_forward_pre_hook(narrow)
    try:
        yield narrowed
    finally:
        hook.remove()


def targets_of(found: Sequences, batch: Sequence[int] | Ints) -> Ints:
    """For each target of the batch, in the order of :func:`read`, its sequence."""
    return np.repeat(np.asarray(batch), found.n_targets[batch])
