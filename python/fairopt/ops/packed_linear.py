"""The packed layout, in which a CPU keeps quantised weights while a model runs, and the product with it."""

from __future__ import annotations

from typing import Any

import torch

from fairopt import _core
from fairopt.ops import _library
from fairopt.ops.quantize_blockwise import dequantize_blockwise

_TILE_ROWS = 64


def matmul_modes(format: str) -> tuple[str, ...]:
    """The arithmetics in which packed weights of ``format`` can be multiplied.

    ``exact``: fp32 products. ``a8``, ``a16``, ``a24``: activations rounded to so many bits a block, exact integer sums.
    ``i16``: the same for codebooks, both sides in 16 bits. docs/formats.md has the error bound of each.
    """
    return tuple(_core.matmul_modes(format))


def default_matmul_mode(format: str, dtype: torch.dtype = torch.float32) -> str:
    """The fastest mode as accurate as fp32 for ``x`` of this type.

    ``a24`` for integer codes where the CPU has AVX-512 VNNI, but ``exact`` for bfloat16 where it has AVX-512 BF16: two
    products an instruction, to the bits of two fused multiply-adds. Else ``exact``.
    """
    return _core.default_matmul_mode(format, dtype == torch.bfloat16)


def pack_weight(
    codes: torch.Tensor, scales: torch.Tensor, zeros: torch.Tensor, format: str, block: int, cols: int
) -> torch.Tensor:
    """Rows of a quantised weight to tiles of 64 rows, each one stream of scales, zero points and codes.

    Args:
        codes, scales, zeros: of W [rows, cols] on the CPU, as :func:`~fairopt.ops.quantize_blockwise` returns them.
        format, block, cols: of W.

    Returns:
        uint8 [bytes], laid out as docs/formats.md draws it.
    """
    packed: torch.Tensor = torch.ops.fairopt.pack_weight.default(codes, scales, zeros, format, block, cols)
    return packed


def unpack_weight(
    packed: torch.Tensor, format: str, block: int, rows: int, cols: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The inverse of :func:`pack_weight`, bit for bit: codes, scales, zeros."""
    parts: tuple[torch.Tensor, torch.Tensor, torch.Tensor] = torch.ops.fairopt.unpack_weight.default(
        packed, format, block, rows, cols
    )
    return parts


def packed_linear(
    x: torch.Tensor,
    packed: torch.Tensor,
    bias: torch.Tensor | None,
    format: str,
    block: int,
    rows: int,
    mode: str,
    lora_z: torch.Tensor | None = None,
    lora_b: torch.Tensor | None = None,
) -> torch.Tensor:
    """``x W^T + bias + lora_z lora_b^T`` with W [rows, k] packed.

    A row of the result is the same bits whatever the other rows and the number of threads; in the integer modes also
    whatever the instruction set. A row of ``x`` that the mode cannot serve (it holds NaN, or a few of its values stand
    out so far that the others would drown in the rounding) is computed in a finer one: docs/formats.md has the rule.
    Differentiable in ``x``, ``bias``, ``lora_z`` and ``lora_b``; the gradient is that of the exact product.

    Args:
        x: [..., k] on the CPU, float32, float16, bfloat16, or float64, which is multiplied in float64 in every mode.
        packed: as :func:`pack_weight` returns it.
        bias: [rows] of the type of ``x``, or None.
        format, block: of W.
        rows: of W.
        mode: one of :func:`matmul_modes`.
        lora_z: [..., r] of the type of ``x``, the scaled ``x A^T`` of a LoRA branch, or None.
        lora_b: [rows, r], or None.

    Returns:
        [..., rows] of the type of ``x``.
    """
    y: torch.Tensor = _library.call(
        torch.ops.fairopt.packed_linear.default, x, packed, bias, format, block, rows, mode, lora_z, lora_b
    )
    return y


def _packed_bytes(op: str, format: str, block: int, rows: int, cols: int) -> int:
    stored_bits, zeros_dtype = _core.format_layout(op, format, block)
    bits = 4 if stored_bits <= 4 else 8
    step = 4 if stored_bits == 8 else 8  # columns that lie together
    header = _TILE_ROWS * (4 + {"": 0, "uint8": 1, "float32": 4}[zeros_dtype])
    columns = cols // block * block + (cols % block + step - 1) // step * step
    return (
        (rows + _TILE_ROWS - 1)
        // _TILE_ROWS
        * ((cols + block - 1) // block * header + columns * _TILE_ROWS * bits // 8)
    )


def _fake_pack_weight(
    codes: torch.Tensor, scales: torch.Tensor, zeros: torch.Tensor, format: str, block: int, cols: int
) -> torch.Tensor:
    return codes.new_empty(_packed_bytes("pack_weight", format, block, codes.shape[0], cols))


def _fake_unpack_weight(
    packed: torch.Tensor, format: str, block: int, rows: int, cols: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    bits, zeros_dtype = _core.format_layout("unpack_weight", format, block)
    blocks = (cols + block - 1) // block
    return (
        packed.new_empty((rows, (cols * bits + 7) // 8)),
        packed.new_empty((rows, blocks), dtype=torch.float32),
        packed.new_empty(
            (rows, blocks) if zeros_dtype else 0, dtype=torch.float32 if zeros_dtype == "float32" else torch.uint8
        ),
    )


def _fake_packed_linear(
    x: torch.Tensor,
    packed: torch.Tensor,
    bias: torch.Tensor | None,
    format: str,
    block: int,
    rows: int,
    mode: str,
    lora_z: torch.Tensor | None = None,
    lora_b: torch.Tensor | None = None,
) -> torch.Tensor:
    return x.new_empty((*x.shape[:-1], rows))


torch.library.register_fake("fairopt::pack_weight", _fake_pack_weight)
torch.library.register_fake("fairopt::unpack_weight", _fake_unpack_weight)
torch.library.register_fake("fairopt::packed_linear", _fake_packed_linear)
_library.register_constant("pack_weight")
_library.register_constant("unpack_weight")


def _save_weight(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    x, packed, _, ctx.format, ctx.block, ctx.rows, _, lora_z, lora_b = inputs
    ctx.cols = x.shape[-1]
    ctx.save_for_backward(packed, lora_z, lora_b)


def _linear_backward(ctx: Any, grad_y: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    packed, lora_z, lora_b = ctx.saved_tensors
    grad_x = grad_bias = grad_z = grad_b = None
    if ctx.needs_input_grad[0]:
        # float64 has no format of its own: its weights are the fp32 values, exactly.
        dtype = torch.float32 if grad_y.dtype == torch.float64 else grad_y.dtype
        parts = unpack_weight(packed, ctx.format, ctx.block, ctx.rows, ctx.cols)
        weight = dequantize_blockwise(*parts, ctx.format, ctx.block, ctx.cols, dtype)
        grad_x = grad_y @ weight.to(grad_y.dtype)
    if ctx.needs_input_grad[2]:
        grad_bias = grad_y.reshape(-1, grad_y.shape[-1]).sum(0)
    with_lora = len(ctx.needs_input_grad) > 7  # torch leaves arguments out that have their default
    if with_lora and ctx.needs_input_grad[7]:
        grad_z = grad_y @ lora_b
    if with_lora and ctx.needs_input_grad[8]:
        grad_b = grad_y.reshape(-1, grad_y.shape[-1]).mT @ lora_z.reshape(-1, lora_z.shape[-1])
    grads = (grad_x, None, grad_bias, None, None, None, None, grad_z, grad_b)
    return grads[: len(ctx.needs_input_grad)]


torch.library.register_autograd("fairopt::packed_linear", _linear_backward, setup_context=_save_weight)
