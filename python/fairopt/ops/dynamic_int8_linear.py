"""The product of int8 weights with activations that are rounded to int8 as they come."""

from __future__ import annotations

import math
from typing import Any

import torch

from fairopt.ops import _library


def dynamic_int8_linear(
    x: torch.Tensor,
    codes: torch.Tensor,
    scales: torch.Tensor,
    bias: torch.Tensor | None,
    threshold: float = math.inf,
) -> torch.Tensor:
    """``x W^T + bias`` with W [n, k] in int8 and each token (row of ``x``) rounded to int8: W8A8 dynamic.

    A token is rounded like a row of int8 weights: ``s = amax / 127``, ``q = round_half_even(x / s)``. With the exact
    int32 sums ``S`` of ``codes * q``, ``y = (scale * s) * S + bias`` in fp32, each operation rounded, then once to the
    type of ``x``. The result is the same bits on every CPU, for every batch, place of a token and number of threads. A
    token with a value that is not finite gives NaN.

    Values with ``|x| >= threshold`` stay in floating point: they are left out of ``amax`` and ``S``, and their products
    with the dequantised weights are added (LLM.int8, arXiv:2208.07339). Each token is judged by itself. (The paper and
    bitsandbytes take a whole column to floating point as soon as one token of the batch has an outlier there, so that
    what a token gives depends on the others; for a token alone the definitions agree.)

    Differentiable in ``x`` and ``bias``: the gradient goes straight through the rounding of ``x``, as of the product
    with the dequantised weight. CUDA gives the bits of the CPU.

    Args:
        x: [..., k] of float32, float16 or bfloat16; k at most 2^17.
        codes: [n, k] int8 in [-127, 127].
        scales: [n] float32.
        bias: [n] of the type of ``x``, or None.
        threshold: positive; infinity means that nothing is an outlier.

    Returns:
        [..., n] of the type of ``x``.
    """
    y: torch.Tensor = _library.call(torch.ops.fairopt.dynamic_int8_linear.default, x, codes, scales, bias, threshold)
    return y


def _fake_dynamic_int8_linear(
    x: torch.Tensor, codes: torch.Tensor, scales: torch.Tensor, bias: torch.Tensor | None, threshold: float
) -> torch.Tensor:
    return x.new_empty((*x.shape[:-1], codes.shape[0]))


torch.library.register_fake("fairopt::dynamic_int8_linear", _fake_dynamic_int8_linear)


def _save_weight(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    _, codes, scales, _, _ = inputs
    ctx.save_for_backward(codes, scales)


def _backward(ctx: Any, grad_y: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    grad_x = grad_bias = None
    if ctx.needs_input_grad[0]:
        codes, scales = ctx.saved_tensors
        grad_x = grad_y @ (codes * scales[:, None]).to(grad_y.dtype)
    if ctx.needs_input_grad[3]:
        grad_bias = grad_y.reshape(-1, grad_y.shape[-1]).sum(0)
    return grad_x, None, None, grad_bias, None


torch.library.register_autograd("fairopt::dynamic_int8_linear", _backward, setup_context=_save_weight)
