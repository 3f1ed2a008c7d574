"""Sparse weights: the layout in which a device reads them, and the product with it."""

from __future__ import annotations

from typing import Any

import torch

from fairopt.ops import _library

_WORD = 32  # columns that a mask of the CUDA layout covers


def to_bitmap(weight: torch.Tensor, multiple: int = 8) -> torch.Tensor:
    """Which elements of ``weight`` [n, k] are not 0: uint8 [n, ceil(k / multiple) * multiple / 8].

    Column 0 is the lowest bit of the first byte; bits after the last column are 0.
    """
    n, k = weight.shape
    keep = torch.zeros(n, -(-k // multiple) * multiple, dtype=torch.uint8, device=weight.device)
    keep[:, :k] = weight != 0
    bits = torch.tensor([1 << i for i in range(8)], dtype=torch.uint8, device=weight.device)
    return (keep.view(n, keep.shape[1] // 8, 8) * bits).sum(-1, dtype=torch.uint8)


def from_bitmap(bitmap: torch.Tensor, values: torch.Tensor, cols: int) -> torch.Tensor:
    """The dense matrix [n, cols] of a :func:`to_bitmap` and the values that it marks, row by row."""
    n = bitmap.shape[0]
    shifts = torch.arange(8, dtype=torch.uint8, device=bitmap.device)
    keep = (bitmap[:, :, None] >> shifts & 1).view(n, 8 * bitmap.shape[1])[:, :cols].bool()
    found = int(keep.sum())
    if found != values.numel():
        raise ValueError(f"from_bitmap: values must be as many as the {found} bits of bitmap, got {values.numel()}")
    return torch.zeros(n, cols, dtype=values.dtype, device=values.device).masked_scatter_(keep, values)


def pack_sparse(weight: torch.Tensor, scales: torch.Tensor | None = None) -> torch.Tensor:
    """The zeros of a weight left out, in the order in which the kernels of its device read the rest.

    On the CPU tiles of 64 rows, a mask for each column and the values; on CUDA rows, a mask for 32 columns and the
    values. docs/formats.md draws both. How the CPU orders values depends on its instructions: bytes are for the machine
    that packed them, what is stored is a bitmap and values.

    Args:
        weight: [n, k], float32, float16, bfloat16, or int8 codes.
        scales: fp32 [n], what code 1 is worth in each row, with int8; else None.

    Returns:
        uint8 [bytes]; how many depends on where the zeros lie.
    """
    packed: torch.Tensor = torch.ops.fairopt.pack_sparse.default(weight, scales)
    return packed


def unpack_sparse(packed: torch.Tensor, dtype: torch.dtype, rows: int, cols: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The inverse of :func:`pack_sparse`, bit for bit but for the sign of zeros: ``weight``, ``scales``.

    ``scales`` is empty where ``dtype`` is not int8.
    """
    parts: tuple[torch.Tensor, torch.Tensor] = torch.ops.fairopt.unpack_sparse.default(packed, dtype, rows, cols)
    return parts


def sparse_linear(
    x: torch.Tensor, packed: torch.Tensor, bias: torch.Tensor | None, dtype: torch.dtype, rows: int
) -> torch.Tensor:
    """``x W^T + bias`` with W [rows, k] packed.

    Exact weights and fp32 activations in fp32 FMA, rounded once to the type of ``x``. A row of the result is the same
    bits whatever the other rows and the number of threads (on CUDA for up to 8 rows of ``x``; more meet the dense
    weight in torch's own product, as float64 does on the CPU). Differentiable in ``x`` and ``bias``.

    Args:
        x: [..., k], float32, float16, bfloat16, or on the CPU float64.
        packed: as :func:`pack_sparse` returns it on the device of ``x``.
        bias: [rows] of the type of ``x``, or None.
        dtype: of the values in ``packed``.
        rows: of W.

    Returns:
        [..., rows] of the type of ``x``.
    """
    y: torch.Tensor = _library.call(torch.ops.fairopt.sparse_linear.default, x, packed, bias, dtype, rows)
    return y


def _pack_rows(weight: torch.Tensor, scales: torch.Tensor | None = None) -> torch.Tensor:
    keep = weight != 0
    starts = torch.nn.functional.pad(keep.sum(1).cumsum(0), (1, 0))
    parts = [starts, *([] if scales is None else [scales]), to_bitmap(weight, _WORD), weight[keep]]
    return torch.cat([part.contiguous().view(torch.uint8).flatten() for part in parts])


def _fake_pack_sparse(weight: torch.Tensor, scales: torch.Tensor | None = None) -> torch.Tensor:
    return weight.new_empty(torch.library.get_ctx().new_dynamic_size(), dtype=torch.uint8)


def _fake_unpack_sparse(
    packed: torch.Tensor, dtype: torch.dtype, rows: int, cols: int
) -> tuple[torch.Tensor, torch.Tensor]:
    scales = rows if dtype == torch.int8 else 0
    return packed.new_empty((rows, cols), dtype=dtype), packed.new_empty(scales, dtype=torch.float32)


def _fake_sparse_linear(
    x: torch.Tensor, packed: torch.Tensor, bias: torch.Tensor | None, dtype: torch.dtype, rows: int
) -> torch.Tensor:
    return x.new_empty((*x.shape[:-1], rows))


torch.library.register_kernel("fairopt::pack_sparse", "cuda", _pack_rows)
torch.library.register_fake("fairopt::pack_sparse", _fake_pack_sparse)
torch.library.register_fake("fairopt::unpack_sparse", _fake_unpack_sparse)
torch.library.register_fake("fairopt::sparse_linear", _fake_sparse_linear)
_library.register_constant("pack_sparse")
_library.register_constant("unpack_sparse")


def _save_weight(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    x, packed, _, ctx.dtype, ctx.rows = inputs
    ctx.cols = x.shape[-1]
    ctx.save_for_backward(packed)


def _linear_backward(ctx: Any, grad_y: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    grad_x = grad_bias = None
    if ctx.needs_input_grad[0]:
        weight, scales = unpack_sparse(ctx.saved_tensors[0], ctx.dtype, ctx.rows, ctx.cols)
        scaled = grad_y * scales.to(grad_y.dtype) if ctx.dtype == torch.int8 else grad_y
        grad_x = scaled @ weight.to(grad_y.dtype)
    if ctx.needs_input_grad[2]:
        grad_bias = grad_y.reshape(-1, grad_y.shape[-1]).sum(0)
    return grad_x, None, grad_bias, None, None


torch.library.register_autograd("fairopt::sparse_linear", _linear_backward, setup_context=_save_weight)
