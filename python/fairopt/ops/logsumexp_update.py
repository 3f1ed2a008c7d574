"""A running log-sum-exp over tiles of logits."""

from __future__ import annotations

import torch

from fairopt.ops import _library  # noqa: F401  registers the operator


def logsumexp_update(logits: torch.Tensor, maximum: torch.Tensor, total: torch.Tensor) -> None:
    """Fold one tile of logits into the running maximum and scaled sum of its rows, in place. Inference only, CPU.

    Start with ``maximum = -inf`` and ``total = 0``; after all tiles of a row its log-sum-exp is ``maximum +
    log(total)`` and its largest logit is ``maximum``. A row of -inf keeps ``-inf``; NaN makes both NaN, for good.

    Args:
        logits: float32 [rows, columns], copied where a row is not dense.
        maximum: float32 [rows], contiguous; updated.
        total: float32 [rows], contiguous; the sum of ``exp(logit - maximum)``; updated.
            Each exponential is within 2 ulp.

    Raises:
        ValueError: sizes or types that do not fit each other.
        NotImplementedError: logits or state require grad and gradients are enabled.
    """
    torch.ops.fairopt.logsumexp_update.default(logits, maximum, total)


def _fake_logsumexp_update(logits: torch.Tensor, maximum: torch.Tensor, total: torch.Tensor) -> None:
    return None


torch.library.register_fake("fairopt::logsumexp_update", _fake_logsumexp_update)


def _refuse_gradients(logits: torch.Tensor, maximum: torch.Tensor, total: torch.Tensor) -> None:
    if torch.is_grad_enabled() and (logits.requires_grad or maximum.requires_grad or total.requires_grad):
        raise NotImplementedError(
            "logsumexp_update: logits must be used without gradients, got a tensor that requires grad"
        )
    with torch._C._AutoDispatchBelowAutograd():
        torch.ops.fairopt.logsumexp_update.default(logits, maximum, total)


# torch.library.register_autograd takes no operator that changes its inputs.


# torch.library.register_autograd takes no operator that changes its inputs.
_AUTOGRAD = torch.library.Library("fairopt", "IMPL", "Autograd")  # type: ignore[no-untyped-call]
_AUTOGRAD.impl("logsumexp_update", _refuse_gradients)  # type: ignore[no-untyped-call]
