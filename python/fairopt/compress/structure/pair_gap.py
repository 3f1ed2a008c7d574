"""A bias to measure without code, for the score ``fasp``: how differently a model reads the texts of a pair.

The texts of a pair differ in whom they speak of; a model for which that makes no difference has a gap of zero. It says
nothing of which of them is preferred: a benchmark does.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fairopt.compress.blocks import evaluating
from fairopt.compress.calibration import Calibration
from fairopt.compress.gradients import sequence_loss
from fairopt.errors import InputError


@dataclass(frozen=True)
class PairGap:
    """The mean over pairs of ``|loss(a) - loss(b)|``, in nats a predicted token of a causal model."""

    pairs: tuple[tuple[torch.Tensor, torch.Tensor], ...]  # token ids, at least two each

    def __call__(self, model: nn.Module) -> float:
        """The gap of ``model`` as it is now."""
        device = next(model.parameters()).device
        with evaluating(model), torch.no_grad():
            losses = [[float(sequence_loss(model, ids.to(device))) for ids in pair] for pair in self.pairs]
        return sum(abs(a - b) for a, b in losses) / len(losses)

    def describe(self) -> dict[str, int | str]:
        """What a record says of it: how many pairs, and a hash of their tokens."""
        text = json.dumps([[ids.tolist() for ids in pair] for pair in self.pairs])
        return {"pairs": len(self.pairs), "pairs_sha256": hashlib.sha256(text.encode()).hexdigest()}


def read_pairs(path: str | os.PathLike[str], model: nn.Module, tokenizer: Any) -> PairGap:
    """The pairs of a file: a JSON object a line with the texts ``a`` and ``b``.

    Raises:
        InputError: a file that cannot be read or holds no pair, a line that is none, a text of less than two tokens or
            more than the model has positions, and a masked model, whose loss is of tokens drawn anew for each text.
    """
    if type(model).__name__.endswith("ForMaskedLM"):
        raise InputError(f"pairs: model must be a causal language model, got {type(model).__name__}")
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"pairs: '{path}' must be a file of readable text, got {error}") from None
    pairs = [_pair(line, f"'{path}' line {i}", tokenizer) for i, line in enumerate(lines, 1) if line.strip()]
    if not pairs:
        raise InputError(f"pairs: '{path}' must hold at least one pair, got none")
    Calibration(tuple(ids for pair in pairs for ids in pair), seed=0, sha256="").check_fits(model)
    return PairGap(tuple(pairs))


def _pair(line: str, where: str, tokenizer: Any) -> tuple[torch.Tensor, torch.Tensor]:
    try:
        said = json.loads(line)
        texts = said["a"], said["b"]
    except (ValueError, KeyError, TypeError):
        texts = None, None
    if not all(isinstance(text, str) for text in texts):
        raise InputError(f"pairs: {where} must be a JSON object with the texts a and b, got {line[:80]!r}")
    a, b = (torch.tensor(tokenizer(text)["input_ids"]) for text in texts)
    if min(len(a), len(b)) < 2:
        raise InputError(f"pairs: {where} must have texts of at least two tokens, got {len(a)} and {len(b)}")
    return a, b
