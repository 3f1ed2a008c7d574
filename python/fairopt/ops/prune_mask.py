"""Masks that say which weights stay."""

from __future__ import annotations

import torch

from fairopt.ops._library import register_constant


def prune_mask(score: torch.Tensor, prune: int) -> torch.Tensor:
    """Which entries to keep when exactly ``prune`` of them go: those of smallest ``|score|``.

    Among equals the lower index goes first.

    Args:
        score: any shape, float32, float16 or bfloat16, on the CPU, finite.
        prune: how many, between 0 and ``score.numel()``.

    Returns:
        bool of the shape of ``score``, True keeps.
    """
    mask: torch.Tensor = torch.ops.fairopt.prune_mask.default(score, prune)
    return mask


def prune_mask_n_of_m(score: torch.Tensor, n: int, m: int) -> torch.Tensor:
    """Which entries to keep when of every ``m`` consecutive ones of a row the ``n`` of largest ``|score|`` stay.

    Among equals the lower index goes first.

    Args:
        score: [..., k], k a multiple of ``m``; float32, float16 or bfloat16, on the CPU, finite.
        n: how many stay, between 1 and ``m``.
        m: between 1 and 32.

    Returns:
        bool of the shape of ``score``, True keeps.
    """
    mask: torch.Tensor = torch.ops.fairopt.prune_mask_n_of_m.default(score, n, m)
    return mask


def _fake_prune_mask(score: torch.Tensor, prune: int) -> torch.Tensor:
    return score.new_empty(score.shape, dtype=torch.bool)


torch.library.register_fake("fairopt::prune_mask", _fake_prune_mask)


def _fake_prune_mask_n_of_m(score: torch.Tensor, n: int, m: int) -> torch.Tensor:
    return score.new_empty(score.shape, dtype=torch.bool)


torch.library.register_fake("fairopt::prune_mask_n_of_m", _fake_prune_mask_n_of_m)
register_constant("prune_mask")
register_constant("prune_mask_n_of_m")
