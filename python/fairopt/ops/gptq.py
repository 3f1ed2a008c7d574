"""Codes chosen column by column, later ones making up for the errors of earlier ones."""

from __future__ import annotations

from typing import NamedTuple

import torch

from fairopt.ops._library import register_constant
from fairopt.ops.quantize_blockwise import quantize_blockwise


class Gptq(NamedTuple):
    """What :func:`gptq` found."""

    codes: torch.Tensor  # codes, scales and zeros as quantize_blockwise returns them
    scales: torch.Tensor
    zeros: torch.Tensor
    order: torch.Tensor  # int64 [k]: column j of the codes is column order[j] of the weight; [0] unless "dynamic"
    report: torch.Tensor  # float64 [3]: loss, damp that was used, inputs that were always zero


def gptq(
    weight: torch.Tensor,
    hessian: torch.Tensor,
    format: str,
    block: int,
    act_order: str = "none",
    damp: float = 0.01,
) -> Gptq:
    """GPTQ (Frantar et al. 2023, arXiv:2210.17323): codes Q that make ``trace((W - Q) H (W - Q)^T)`` small. CPU.

    Columns are rounded one by one, each where it best makes up for the errors of those before. A weight that is exactly
    zero stays zero. Unlike the paper, a column with ``H_jj = 0`` is rounded to nearest and not set to zero. The damping
    is raised until the damped H is positive definite; ``report`` says to what, and the loss is that with the damped H.

    Args:
        weight: W [n, k], float32, finite.
        hessian: H [k, k], float32, finite, symmetric (one half is read): ``2 / tokens * sum of x x^T`` over inputs x.
        format, block: as for :func:`quantize_blockwise`.
        act_order: ``"none"`` rounds columns as they lie; ``"static"`` by falling diagonal of H, with the blocks and
            scales of W as it lies; ``"dynamic"`` forms blocks in that order too, and ``order`` is needed to read them.
        damp: share of the mean diagonal of H that is added to it, at least 0.

    Raises:
        ValueError: as all operators do; an H that no damping makes positive definite.
    """
    return Gptq(*torch.ops.fairopt.gptq.default(weight, hessian, format, block, act_order, damp))


def _fake_gptq(
    weight: torch.Tensor, hessian: torch.Tensor, format: str, block: int, act_order: str = "none", damp: float = 0.01
) -> tuple[torch.Tensor, ...]:
    codes, scales, zeros = quantize_blockwise(weight, format, block)
    order = weight.new_empty((weight.shape[1] if act_order == "dynamic" else 0,), dtype=torch.int64)
    return codes, scales, zeros, order, weight.new_empty((3,), dtype=torch.float64)


torch.library.register_fake("fairopt::gptq", _fake_gptq)
register_constant("gptq")
