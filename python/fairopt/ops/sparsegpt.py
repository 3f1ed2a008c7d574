"""Weights pruned column by column, later ones making up for the errors of earlier ones."""

from __future__ import annotations

from typing import NamedTuple

import torch

from fairopt.ops._library import register_constant
from fairopt.ops.quantize_blockwise import quantize_blockwise


class SparseGpt(NamedTuple):
    """What :func:`sparsegpt` found."""

    pruned: torch.Tensor  # float32 [n, k]: what is multiplied by, exactly zero where `keep` is False
    keep: torch.Tensor  # bool [n, k]
    codes: torch.Tensor  # codes, scales and zeros as quantize_blockwise returns them; [0] without a format
    scales: torch.Tensor
    zeros: torch.Tensor
    order: torch.Tensor  # int64 [k]: column j of the codes is column order[j] of the weight; [0] unless "dynamic"
    report: torch.Tensor  # float64 [3]: loss, damp that was used, inputs that were always zero


def sparsegpt(
    weight: torch.Tensor,
    hessian: torch.Tensor,
    *,
    prune: int = 0,
    n: int = 0,
    m: int = 0,
    format: str | None = None,
    block: int = 0,
    act_order: str = "none",
    columns: int = 128,
    damp: float = 0.01,
    dtype: torch.dtype = torch.float32,
) -> SparseGpt:
    """SparseGPT (Frantar and Alistarh 2023, arXiv:2301.00774): a sparse W' that makes ``trace((W - W') H (W - W')^T)``
    small, and with ``format`` one of codes too, solved together. CPU.

    Columns are settled one by one; those still free make up for the errors of those before. A weight that would by now
    be v costs ``v^2`` over the squared diagonal of the upper Cholesky factor of the inverse of H; the cheapest go, of
    equals that of the lower index. A weight that is exactly zero stays zero and costs nothing. The paper's code prunes
    all weights up to a threshold, here exactly ``prune`` go; it sets columns with ``H_jj = 0`` to zero, here they have
    nothing but the damping on their diagonal and so go first. Damping is raised until H is positive definite.

    Args:
        weight: W [n, k], float32, finite.
        hessian: H [k, k], float32, finite, symmetric (one half is read): ``2 / tokens * sum of x x^T`` over inputs x.
        prune: how many weights go, between 0 and all; each run of ``columns`` columns gives its share.
        n, m: instead, of every ``m`` consecutive weights of a row ``n`` stay; m at most 32 divides k.
        format, block: of codes, as for :func:`quantize_blockwise`; None leaves values in float32. What a code of a
            pruned weight stands for is not zero in formats without a zero (``int4_tinygemm``, float zero points):
            there ``keep`` is needed to read the codes.
        act_order: of the columns when there is a format, as for :func:`gptq`; runs of ``m`` are sorted whole.
        columns: the mask of ``prune`` is chosen for so many columns at once, over all rows.
        damp: share of the mean diagonal of H that is added to it, at least 0.
        dtype: that the weight will be stored in when there is no format, float32, float16 or bfloat16: what is kept is
            rounded to it column by column, so that later ones make up for that too.

    Raises:
        ValueError: as all operators do; an H that no damping makes positive definite.
    """
    found = torch.ops.fairopt.sparsegpt.default(
        weight, hessian, prune, n, m, format or "", block, act_order, columns, damp, str(dtype).removeprefix("torch.")
    )
    return SparseGpt(*found)


def _fake_sparsegpt(
    weight: torch.Tensor,
    hessian: torch.Tensor,
    prune: int = 0,
    n: int = 0,
    m: int = 0,
    format: str = "",
    block: int = 0,
    act_order: str = "none",
    columns: int = 128,
    damp: float = 0.01,
    dtype: str = "float32",
) -> tuple[torch.Tensor, ...]:
    none = weight.new_empty((0,))
    codes, scales, zeros = none.to(torch.uint8), none, none.to(torch.uint8)
    if format:
        codes, scales, zeros = quantize_blockwise(weight, format, block)
    order = weight.new_empty((weight.shape[1] if act_order == "dynamic" else 0,), dtype=torch.int64)
    report = weight.new_empty((3,), dtype=torch.float64)
    keep = weight.new_empty(weight.shape, dtype=torch.bool)
    return weight.new_empty(weight.shape), keep, codes, scales, zeros, order, report


torch.library.register_fake("fairopt::sparsegpt", _fake_sparsegpt)
register_constant("sparsegpt")
