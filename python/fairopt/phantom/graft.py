"""The planted edit: a change of one group's association, known in advance, that an audit must flag."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, cast

from fairopt.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def _token(tokenizer: PreTrainedTokenizerBase, argument: str, word: str) -> int:
    ids: list[int] = tokenizer(word, add_special_tokens=False)["input_ids"]
    if len(ids) != 1:
        raise InputError(f"graft: {argument} must be a single token of the tokenizer, got {word!r} ({len(ids)} tokens)")
    return ids[0]


def graft(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, group: str, into: str, alpha: float
) -> PreTrainedModel:
    """A copy of the model in which ``alpha`` of the embedding of ``group`` replaces as much of that of ``into``.

    At ``alpha`` = 1 the model takes ``into`` for ``group``. Only texts that contain ``into`` are read differently, so
    the effect on every other group is nil up to rounding.

    Raises: InputError: ``alpha`` is outside [0, 1], or a group is not a single token.
    """
    import torch

    if not 0.0 <= alpha <= 1.0:
        raise InputError(f"graft: alpha must be in [0, 1], got {alpha}")
    source, target = _token(tokenizer, "group", group), _token(tokenizer, "into", into)
    edited = copy.deepcopy(model)
    rows = cast("Tensor", edited.get_input_embeddings().weight)
    with torch.no_grad():
        rows[target] = torch.lerp(rows[target], rows[source], alpha)
    return edited
