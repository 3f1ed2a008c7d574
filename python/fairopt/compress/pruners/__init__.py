"""Methods that choose which weights become zero: one file each, all called as ``base`` says."""

from __future__ import annotations

from collections.abc import Callable

import torch

from fairopt.compress.prune_options import Fisher, Gblm, Hgla, Magnitude, Prune, Random, SparseGpt, Taylor, Wanda
from fairopt.compress.pruners.base import LayerPruner
from fairopt.compress.pruners.fisher import FisherPruner
from fairopt.compress.pruners.gblm import GblmPruner
from fairopt.compress.pruners.hgla import HglaPruner
from fairopt.compress.pruners.magnitude import MagnitudePruner
from fairopt.compress.pruners.random import RandomPruner
from fairopt.compress.pruners.sparsegpt import SparseGptPruner
from fairopt.compress.pruners.taylor import TaylorPruner
from fairopt.compress.pruners.wanda import WandaPruner

_PRUNERS: dict[type[Prune], Callable[..., LayerPruner]] = {
    Magnitude: MagnitudePruner,
    Random: RandomPruner,
    Wanda: WandaPruner,
    Gblm: GblmPruner,
    Hgla: HglaPruner,
    Taylor: TaylorPruner,
    Fisher: FisherPruner,
}


def layer_pruner(step: Prune, dtype: torch.dtype = torch.float32) -> LayerPruner:
    """What carries out a step on a layer that will be stored in ``dtype``."""
    return SparseGptPruner(step, dtype) if isinstance(step, SparseGpt) else _PRUNERS[type(step)](step)
