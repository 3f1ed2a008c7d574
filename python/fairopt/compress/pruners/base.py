"""What a pruner is: how the driver calls the methods that choose which weights of a layer become zero."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

import torch

from fairopt.compress.prune_options import Amount
from fairopt.compress.solvers.base import Statistics

Needs: TypeAlias = Literal["nothing", "norms", "gradients", "norms_and_gradients", "hessian", "hessian_float64"]


@dataclass(frozen=True)
class Pruned:
    """A layer after pruning."""

    weight: torch.Tensor  # [N, K] fp32 or of the type that was given, zero where `keep` is False
    keep: torch.Tensor  # bool [N, K]
    notes: Mapping[str, float] = field(default_factory=dict)  # what else happened: damping that was needed, ...


class LayerPruner(Protocol):
    """Prunes one layer at a time. An instance holds the options of its recipe step."""

    @property
    def needs(self) -> Needs:
        """Which statistics :meth:`prune` looks at."""
        ...

    def prune(self, weight: torch.Tensor, amount: Amount, statistics: Statistics | None, seed: int) -> Pruned:
        """Prune ``amount`` of ``weight`` [N, K], float32, float16 or bfloat16, which is not changed.

        Scores are those of its values in float32.
        ``statistics`` is None where nothing is needed; ``seed`` is the layer's own (:func:`layer_seed`). A weight that
        is zero already has the smallest of scores: pruning twice prunes the larger amount.
        """
        ...


def layer_seed(seed: int, layer: str) -> int:
    """A seed of the layer of this name: what is drawn for it does not depend on which layers come before it."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{layer}".encode()).digest()[:8], "little") >> 1
