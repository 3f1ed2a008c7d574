"""Shares of the layers that are decided over the whole dense model: one threshold for all, and OWL."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import torch
from torch import nn

from fairopt import ops
from fairopt.compress.blocks import decoder_blocks
from fairopt.compress.calibration import Calibration
from fairopt.compress.layers import dense_weight
from fairopt.compress.norms import model_norms
from fairopt.compress.prune_options import LayerRatio, Magnitude, Prune, Wanda
from fairopt.compress.pruners.selection import selectable
from fairopt.compress.pruners.wanda import wanda_score
from fairopt.compress.recipe import Chain


def is_allocated(step: object) -> bool:
    """Whether a step's share of each layer depends on the others."""
    return (isinstance(step, Magnitude) and step.scope == "model") or (isinstance(step, Wanda) and step.owl)


def allocate(model: nn.Module, chains: Mapping[str, Chain], calibration: Calibration | None) -> dict[str, Chain]:
    """The chains with the share of each layer in the place of one for all. Layers of one and the same step share it.

    The first steps of chains are meant: :func:`fairopt.compress.plan.plan` allows no other.
    """
    shares: dict[str, float] = {}
    for step in dict.fromkeys(chain.steps[0] for chain in chains.values() if is_allocated(chain.steps[0])):
        names = [name for name, chain in chains.items() if chain.steps[0] == step]
        if isinstance(step, Wanda):
            assert calibration is not None
            shares |= _owl(model, names, step, calibration)
        else:
            assert isinstance(step, Magnitude)
            shares |= _one_threshold(model, names, step)
    return {name: _with_share(chain, shares[name]) if name in shares else chain for name, chain in chains.items()}


def _with_share(chain: Chain, share: float) -> Chain:
    first = chain.steps[0]
    assert isinstance(first, Prune)
    return Chain((dataclasses.replace(first, amount=LayerRatio(share)), *chain.steps[1:]))


def _one_threshold(model: nn.Module, names: list[str], step: Magnitude) -> dict[str, float]:
    """The share of each layer when the smallest weights of all together go.

    Within a layer these are its own smallest, so that the share says the mask.
    """
    assert isinstance(step.amount, float | int)
    weights = [selectable(dense_weight(model.get_submodule(name))) for name in names]
    total = sum(weight.numel() for weight in weights)
    keeps = ops.prune_mask_model(weights, round(step.amount * total))
    return {name: 1 - int(torch.count_nonzero(keep)) / keep.numel() for name, keep in zip(names, keeps, strict=True)}


def _owl(model: nn.Module, names: list[str], step: Wanda, calibration: Calibration) -> dict[str, float]:
    """OWL (Yin et al. 2024, arXiv:2310.05175): blocks with more scores far above their mean are pruned less.

    With D the share of scores of each block above ``owl_m`` times their mean, block b is pruned by
    ``r - (d_b - mean(d))``, where ``d = 2 owl_lambda (D - min D) / (max D - min D)``; clamped to [0, 1], where the
    authors do not. Layers in no block are pruned by r.
    """
    assert isinstance(step.amount, float | int)
    norms = model_norms(model, names, calibration)
    outliers: dict[str, float] = {}
    inside: dict[str, str] = {}
    for block in decoder_blocks(model):
        of_block = [name for name in names if name.startswith(f"{block}.")]
        if of_block:
            weights = {name: dense_weight(model.get_submodule(name)).float().cpu() for name in of_block}
            scores = [wanda_score(weight, norms.statistics(name, weight.shape[1])) for name, weight in weights.items()]
            outliers[block] = _share_above(scores, step.owl_m)
            inside |= dict.fromkeys(of_block, block)
    least, most = min(outliers.values(), default=0), max(outliers.values(), default=0)
    spread = 2 * step.owl_lambda / (most - least) if most > least else 0.0
    more = {block: spread * (outlier - least) for block, outlier in outliers.items()}
    mean = sum(more.values()) / max(1, len(more))
    pruned = {block: min(1.0, max(0.0, step.amount - (given - mean))) for block, given in more.items()}
    return {name: pruned[inside[name]] if name in inside else step.amount for name in names}


def _share_above(scores: list[torch.Tensor], times: float) -> float:
    """The share of all scores that lie above ``times`` their mean."""
    count = sum(score.numel() for score in scores)
    mean = sum(float(score.sum(dtype=torch.float64)) for score in scores) / count
    return sum(int((score > times * mean).sum()) for score in scores) / count
