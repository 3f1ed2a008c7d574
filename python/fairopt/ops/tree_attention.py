"""Attention over a token trie."""

from __future__ import annotations

from typing import Any

import torch

from fairopt.ops import _library  # noqa: F401  registers the operator


def tree_attention(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, segments: torch.Tensor, runs: torch.Tensor, scale: float
) -> torch.Tensor:
    """Attention over a token trie: each query sees its ancestors and itself. Inference only, on the CPU.

    The n queries are the nodes of a trie in depth-first order; the first p of the p + n keys are a carried path, the
    others belong to the nodes. ``fairopt._core.token_trie`` makes both tables from sorted sequences. Softmax and sums
    are computed in fp32 in the order of the keys that a query sees: its bits depend neither on the other queries nor on
    the number of threads. NaN and infinity reach the queries that see them, and no others.

    Args:
        q: float32 [heads, n, d]; like k and v of any strides, but copied where the last dimension is not dense.
        k, v: float32 [kv_heads, p + n, d], ``kv_heads`` a divisor of ``heads``: query head h uses head
            ``h // (heads // kv_heads)``.
        segments: int64 [s, 4] of ``query_start, query_count, run_start, run_count``, covering the queries in order. The
            queries of a segment see the keys of its runs, then the keys of their own segment up to themselves.
        runs: int64 [r, 2] of ``key_start, key_count``.
        scale: of the products of q and k, usually ``d ** -0.5``; finite.

    Returns:
        float32 [n, heads, d].

    Raises:
        ValueError: sizes, types or tables that do not fit each other.
        NotImplementedError: when torch asks for a gradient.
    """
    out: torch.Tensor = torch.ops.fairopt.tree_attention.default(q, k, v, segments, runs, scale)
    return out


def _fake_tree_attention(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, segments: torch.Tensor, runs: torch.Tensor, scale: float
) -> torch.Tensor:
    return q.new_empty((q.shape[1], q.shape[0], q.shape[2]))


torch.library.register_fake("fairopt::tree_attention", _fake_tree_attention)


def _tree_attention_backward(ctx: Any, grad: torch.Tensor) -> None:
    raise NotImplementedError("tree_attention: q, k and v must be used without gradients, got a backward pass")


torch.library.register_autograd("fairopt::tree_attention", _tree_attention_backward)
