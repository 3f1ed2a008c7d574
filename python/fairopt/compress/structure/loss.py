"""The loss by which the importance of structures is judged."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import cross_entropy

from fairopt.errors import InputError


def token_loss(model: Any, output: Any, ids: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy of a batch [n, length]: of each next token, or under a masked model of the tokens themselves.

    Raises :class:`~fairopt.errors.InputError` for a model without a head over its vocabulary.
    """
    logits = getattr(output, "logits", None)
    if logits is None or model.get_output_embeddings() is None:
        raise InputError(f"structure: model must have a language modelling head, got {type(model).__name__}")
    ids = ids.to(logits.device)
    if model.can_generate():
        logits, ids = logits[:, :-1], ids[:, 1:]
    return cross_entropy(logits.reshape(-1, logits.shape[-1]).float(), ids.reshape(-1))
