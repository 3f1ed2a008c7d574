"""The weight and the Hessian that turn an objective with a term for pairs of inputs into the one that solvers have."""

from __future__ import annotations

from typing import NamedTuple

import torch

from fairopt.ops._library import register_constant


class SecondOrderTarget(NamedTuple):
    """What :func:`second_order_target` found."""

    target: torch.Tensor  # float32 [n, k]: W*
    hessian: torch.Tensor  # float32 [k, k]: A
    report: torch.Tensor  # float64 [2]: damp that was used, inputs with A_jj = 0


def second_order_target(
    weight: torch.Tensor,
    hessian: torch.Tensor,
    pair_hessian: torch.Tensor,
    alpha: float,
    beta: float,
    damp: float = 0.01,
) -> SecondOrderTarget:
    """W* and A with which :func:`gptq` and :func:`sparsegpt` look for the W' that makes

        ``||(W - W') X||^2 + beta ||(W - W') D||^2 + alpha ||W' D||^2``

    small, where D holds what differs between the inputs of paired texts: ``A = H + (alpha + beta) D D^T`` and
    ``W* = W - alpha W D D^T A^-1``. ``alpha`` shrinks what the layer makes of those differences (Fair-GPTQ, Proskurina
    et al. 2025, arXiv:2509.15206, whose code solves for W* with H alone), ``beta`` keeps it as it is. A weight that is
    exactly zero has the target zero. With ``alpha = 0`` the target is W bit for bit, with both 0 also A is H. CPU.

    Args:
        weight: W [n, k], float32, finite.
        hessian: H [k, k], float32, finite, symmetric: ``2 / tokens * sum of x x^T`` over inputs x.
        pair_hessian: [k, k], the same of the differences ``x0 - x1`` of paired inputs.
        alpha, beta: at least 0.
        damp: as the solver will be given it: A is damped alike in W*, which pulls W* towards W.

    Raises:
        ValueError: as all operators do; an A that no damping makes positive definite.
    """
    found = torch.ops.fairopt.second_order_target.default(weight, hessian, pair_hessian, alpha, beta, damp)
    return SecondOrderTarget(*found)


def _fake_second_order_target(
    weight: torch.Tensor,
    hessian: torch.Tensor,
    pair_hessian: torch.Tensor,
    alpha: float,
    beta: float,
    damp: float = 0.01,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    report = weight.new_empty((2,), dtype=torch.float64)
    return weight.new_empty(weight.shape), hessian.new_empty(hessian.shape), report


torch.library.register_fake("fairopt::second_order_target", _fake_second_order_target)
register_constant("second_order_target")
