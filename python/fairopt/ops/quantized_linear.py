"""The product with a quantised weight."""

from __future__ import annotations

from typing import Any

import torch

from fairopt.ops import _library
from fairopt.ops.quantize_blockwise import dequantize_blockwise


def quantized_linear(
    x: torch.Tensor,
    codes: torch.Tensor,
    scales: torch.Tensor,
    zeros: torch.Tensor,
    bias: torch.Tensor | None,
    format: str,
    block: int,
    mode: str = "exact",
) -> torch.Tensor:
    """``x W^T + bias`` with W [n, k] kept quantised; dequantisation is fused into the product.

    Products with exactly dequantised fp32 weights are accumulated in fp32 FMA and rounded once to the type of ``x``. On
    the CPU a row of the result is the same bits whatever the other rows and the number of threads. float64 ``x`` (CPU)
    is multiplied in float64. Differentiable in ``x`` and ``bias``; the weight is a constant.

    On CUDA up to 8 rows of fp32 ``x`` are multiplied so too, and up to 64 rows of 16-bit ``x`` on the tensor cores
    (codes of 4 and 8 bits, blocks and rows of whole 32 columns: whole numbers exact, codebook values to 2^-17, fp32
    sums); more rows meet the weight dequantised to their type, in torch's own product. Launches wait for nothing and
    can be captured in CUDA graphs. In the integer modes CUDA gives the bits of :func:`~fairopt.ops.packed_linear` on
    the CPU.

    Args:
        x: [..., k], float32, float16, bfloat16, or on the CPU float64.
        codes, scales, zeros: of W [n, k], as :func:`quantize_blockwise` returns them.
        bias: [n] of the type of ``x``, or None.
        format, block: as given to :func:`quantize_blockwise`.
        mode: ``exact``, or on CUDA ``a8``, ``a16`` and ``a24`` where :func:`~fairopt.ops.matmul_modes` has them.

    Returns:
        [..., n] of the type of ``x``.
    """
    y: torch.Tensor = _library.call(
        torch.ops.fairopt.quantized_linear.default, x, codes, scales, zeros, bias, format, block, mode
    )
    return y


def _fake_quantized_linear(
    x: torch.Tensor,
    codes: torch.Tensor,
    scales: torch.Tensor,
    zeros: torch.Tensor,
    bias: torch.Tensor | None,
    format: str,
    block: int,
    mode: str = "exact",
) -> torch.Tensor:
    return x.new_empty((*x.shape[:-1], codes.shape[0]))


torch.library.register_fake("fairopt::quantized_linear", _fake_quantized_linear)


def _save_weight(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    x, codes, scales, zeros, _, ctx.format, ctx.block, _ = inputs
    ctx.cols = x.shape[-1]
    ctx.save_for_backward(codes, scales, zeros)


def _linear_backward(ctx: Any, grad_y: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    needs_x, needs_bias = ctx.needs_input_grad[0], ctx.needs_input_grad[4]
    grad_x = grad_bias = None
    if needs_x:
        # float64 has no format of its own: its weights are the fp32 values, exactly.
        dtype = torch.float32 if grad_y.dtype == torch.float64 else grad_y.dtype
        codes, scales, zeros = ctx.saved_tensors
        weight = dequantize_blockwise(codes, scales, zeros, ctx.format, ctx.block, ctx.cols, dtype)
        grad_x = grad_y @ weight.to(grad_y.dtype)
    if needs_bias:
        grad_bias = grad_y.reshape(-1, grad_y.shape[-1]).sum(0)
    return grad_x, None, None, None, grad_bias, None, None, None


torch.library.register_autograd("fairopt::quantized_linear", _linear_backward, setup_context=_save_weight)
