"""The orthonormal Hadamard transform."""

from __future__ import annotations

from typing import Any

import torch

from fairopt.ops import _library  # noqa: F401  registers the operator


def hadamard_transform(x: torch.Tensor, transpose: bool = False) -> torch.Tensor:
    """``H x`` along the last dimension with ``H H^T = I``: an outlier is spread over all columns. Differentiable.

    H is the Kronecker product of a Hadamard matrix of small order (Paley's constructions, for sizes such as 12, 20 or
    28 times a power of two) and Sylvester's. A size that has no such factorisation with an order of at most 256 is cut
    into blocks of the largest power of two that divides it. Computed in fp32 and rounded once; the bits do not depend
    on the number of threads or the instruction set. The product with a weight is unchanged when both are transformed:
    ``linear(x, w) = linear(hadamard_transform(x), hadamard_transform(w))``.

    Args:
        x: [..., k], float32, float16 or bfloat16, on the CPU.
        transpose: multiply by ``H^T``, the inverse.

    Returns:
        Of the shape and type of ``x``.
    """
    y: torch.Tensor = torch.ops.fairopt.hadamard_transform.default(x, transpose)
    return y


def _fake_hadamard_transform(x: torch.Tensor, transpose: bool = False) -> torch.Tensor:
    return x.new_empty(x.shape)


torch.library.register_fake("fairopt::hadamard_transform", _fake_hadamard_transform)


def _save_direction(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    ctx.transpose = inputs[1]


def _hadamard_backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None]:
    return hadamard_transform(grad, not ctx.transpose), None


torch.library.register_autograd("fairopt::hadamard_transform", _hadamard_backward, setup_context=_save_direction)
