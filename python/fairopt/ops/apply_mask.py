"""A weight with the zeros that a mask says."""

from __future__ import annotations

from typing import Any

import torch

from fairopt.ops import _library  # noqa: F401  registers the operator


def apply_mask(weight: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
    """``weight`` where ``keep`` is True, zero elsewhere. Differentiable by ``weight``.

    What :func:`torch.where` says, for large weights several times as fast on the CPU: new memory comes in large pages.

    Args:
        weight: any shape, float64, float32, float16 or bfloat16.
        keep: bool of the shape of ``weight``.

    Returns:
        Of the shape and type of ``weight``.
    """
    pruned: torch.Tensor = torch.ops.fairopt.apply_mask.default(weight, keep)
    return pruned


def _apply_mask_on_cuda(weight: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
    return torch.where(keep, weight, 0).contiguous()


def _fake_apply_mask(weight: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
    return weight.new_empty(weight.shape)


torch.library.register_kernel("fairopt::apply_mask", "cuda", _apply_mask_on_cuda)
torch.library.register_fake("fairopt::apply_mask", _fake_apply_mask)


def _save_mask(ctx: Any, inputs: tuple[torch.Tensor, torch.Tensor], output: torch.Tensor) -> None:
    ctx.save_for_backward(inputs[1])


def _apply_mask_backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None]:
    return apply_mask(grad, *ctx.saved_tensors), None


torch.library.register_autograd("fairopt::apply_mask", _apply_mask_backward, setup_context=_save_mask)
