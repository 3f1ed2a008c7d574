"""Masks that say which weights stay.

The score of a weight is its magnitude, or ``|w| * norms[column]``, one product in float32, with the norms of Wanda
(Sun et al., 2024, arXiv:2306.11695, equation 1). Among equal scores the lower index goes first. A mask is the same for
every number of threads, instruction set and device. On CUDA nobody looks for NaN, which counts as larger than all.

A mask that is made again and again goes to the same memory by ``out``: new memory costs about as much as the mask.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from fairopt.ops._library import register_constant


def prune_mask(
    score: torch.Tensor, prune: int, norms: torch.Tensor | None = None, *, out: torch.Tensor | None = None
) -> torch.Tensor:
    """Which entries to keep when exactly ``prune`` of them go: those of smallest score.

    Args:
        score: any shape, float32, float16 or bfloat16, finite.
        prune: how many, between 0 and ``score.numel()``.
        norms: float32, finite, at least 0, one for each entry of the last dimension of ``score``: factors of it.
        out: the mask to write, bool of the shape of ``score``, contiguous; by default a new one.

    Returns:
        bool of the shape of ``score``, True keeps.
    """
    if out is not None:
        torch.ops.fairopt.prune_mask.out(score.detach(), prune, norms, out=out)
        return out
    mask: torch.Tensor = torch.ops.fairopt.prune_mask.default(score, prune, norms)
    return mask


def prune_mask_rows(
    score: torch.Tensor, prune: int, norms: torch.Tensor | None = None, *, out: torch.Tensor | None = None
) -> torch.Tensor:
    """Which entries to keep when exactly ``prune`` of every row go: those of smallest score in it.

    Args:
        score: [..., k], float32, float16 or bfloat16, finite. A row of ``nn.Linear.weight`` is an output.
        prune: how many of each row, between 0 and ``k``.
        norms: [k] float32, finite, at least 0: factors of the score.
        out: the mask to write, as :func:`prune_mask` takes it.

    Returns:
        bool of the shape of ``score``, True keeps.
    """
    if out is not None:
        torch.ops.fairopt.prune_mask_rows.out(score.detach(), prune, norms, out=out)
        return out
    mask: torch.Tensor = torch.ops.fairopt.prune_mask_rows.default(score, prune, norms)
    return mask


def prune_mask_model(
    scores: Sequence[torch.Tensor], prune: int, norms: Sequence[torch.Tensor] | None = None
) -> list[torch.Tensor]:
    """Which entries of several tensors to keep when exactly ``prune`` of all together go: those of smallest score.

    Among equal scores the earlier tensor, then the lower index goes first. The tensors are neither sorted nor joined;
    the work needs a few per cent of the memory of the masks.

    Args:
        scores: at least one tensor, of any shapes, float32, float16 or bfloat16, finite; types may differ.
        prune: how many in all, between 0 and the sum of their sizes.
        norms: one [k] float32 tensor for each score [..., k]; finite, at least 0: factors of the score.

    Returns:
        For each score a bool tensor of its shape, True keeps.
    """
    if not scores:  # torch would find no tensor to choose an implementation by
        raise ValueError("prune_mask_model: scores must be at least one tensor, got none")
    masks: list[torch.Tensor] = torch.ops.fairopt.prune_mask_model.default(list(scores), prune, norms)
    return masks


def prune_mask_n_of_m(
    score: torch.Tensor, n: int, m: int, norms: torch.Tensor | None = None, *, out: torch.Tensor | None = None
) -> torch.Tensor:
    """Which entries to keep when of every ``m`` consecutive ones of a row the ``n`` of largest score stay.

    Args:
        score: [..., k], k a multiple of ``m``; float32, float16 or bfloat16, finite.
        n: how many stay, between 1 and ``m``.
        m: between 1 and 32.
        norms: [k] float32, finite, at least 0: factors of the score.
        out: the mask to write, as :func:`prune_mask` takes it.

    Returns:
        bool of the shape of ``score``, True keeps.
    """
    if out is not None:
        torch.ops.fairopt.prune_mask_n_of_m.out(score.detach(), n, m, norms, out=out)
        return out
    mask: torch.Tensor = torch.ops.fairopt.prune_mask_n_of_m.default(score, n, m, norms)
    return mask


def _mask_of(score: torch.Tensor) -> torch.Tensor:
    return score.new_empty(score.shape, dtype=torch.bool)


def _fake_prune_mask(score: torch.Tensor, prune: int, norms: torch.Tensor | None = None) -> torch.Tensor:
    return _mask_of(score)


def _fake_out(*args: object, out: torch.Tensor) -> None:
    return None


for _name in ("prune_mask", "prune_mask_rows", "prune_mask_n_of_m"):
    torch.library.register_fake(f"fairopt::{_name}.out", _fake_out)
torch.library.register_fake("fairopt::prune_mask", _fake_prune_mask)
torch.library.register_fake("fairopt::prune_mask_rows", _fake_prune_mask)


def _fake_prune_mask_model(
    scores: list[torch.Tensor], prune: int, norms: list[torch.Tensor] | None = None
) -> list[torch.Tensor]:
    return [_mask_of(score) for score in scores]


torch.library.register_fake("fairopt::prune_mask_model", _fake_prune_mask_model)


def _fake_prune_mask_n_of_m(score: torch.Tensor, n: int, m: int, norms: torch.Tensor | None = None) -> torch.Tensor:
    return _mask_of(score)


torch.library.register_fake("fairopt::prune_mask_n_of_m", _fake_prune_mask_n_of_m)
for _name in ("prune_mask", "prune_mask_rows", "prune_mask_model", "prune_mask_n_of_m"):
    register_constant(_name)
