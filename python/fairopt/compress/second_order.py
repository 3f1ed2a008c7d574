"""The objective of GPTQ and SparseGPT: the squared error of what a layer puts out, and perhaps a term for pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from fairopt import ops

if TYPE_CHECKING:  # whose package needs this module
    from fairopt.compress.solvers.base import Statistics


def target_of(
    weight: torch.Tensor, statistics: Statistics | None, damp: float
) -> tuple[torch.Tensor, torch.Tensor, dict[str, float]]:
    """The weight to come close to, the Hessian that says what close is, and what to note of it.

    These are ``weight`` and that of ``statistics``, bit for bit, unless there is a term for pairs
    (:func:`fairopt.ops.second_order_target`).
    """
    assert statistics is not None
    assert statistics.hessian is not None
    hessian, pairs = statistics.hessian.cpu(), statistics.pairs
    if pairs is None:
        return weight, hessian, {}
    found = ops.second_order_target(weight, hessian, pairs.hessian.cpu(), pairs.alpha, pairs.beta, damp)
    return found.target, found.hessian, {"alpha": pairs.alpha, "beta": pairs.beta}


def damped_loss(error: torch.Tensor, hessian: torch.Tensor, damp: float, dead_share: float = 1) -> float:
    """``trace(E H E^T)`` of an error [n, k] with the H that :func:`fairopt.ops.gptq` factorises: dead inputs count as
    much as an average one (``dead_share``; not at all for :func:`fairopt.ops.sparsegpt`), and ``damp`` of the average
    is added to all."""
    diagonal = hessian.diagonal()
    mean = diagonal.mean() if diagonal.any() else diagonal.new_ones(())
    columns = error.square().sum(0)
    dead = dead_share * columns[diagonal == 0].sum()
    return float(((error @ hessian) * error).sum() + mean * (damp * columns.sum() + dead))
