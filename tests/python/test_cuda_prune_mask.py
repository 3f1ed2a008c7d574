"""Masks on CUDA are those of the CPU."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from quantized import DTYPES, normal

from fairopt import ops

pytestmark = pytest.mark.cuda

SHAPES = [(1, 1), (3, 33), (63, 64), (65, 1000), (5, 4113), (300, 11008)]


def matrices(dtype: torch.dtype) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Values and norms of every shape: all different, and few distinct ones."""
    for rows, cols in SHAPES:
        values, norms = normal(rows, cols), normal(cols, seed=1).abs()
        yield values.to(dtype), norms
        yield values.round().to(dtype), norms.round()


def shares(n: int) -> list[int]:
    return sorted({0, 1, n // 3, n // 2, n - 1, n})


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_prune_mask(dtype: torch.dtype) -> None:
    for values, norms in matrices(dtype):
        for prune in shares(values.numel()):
            expected, scaled = ops.prune_mask(values, prune), ops.prune_mask(values, prune, norms)
            assert torch.equal(ops.prune_mask(values.cuda(), prune).cpu(), expected)
            assert torch.equal(ops.prune_mask(values.cuda(), prune, norms.cuda()).cpu(), scaled)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_prune_mask_rows(dtype: torch.dtype) -> None:
    for values, norms in matrices(dtype):
        for prune in shares(values.shape[1]):
            expected, scaled = ops.prune_mask_rows(values, prune), ops.prune_mask_rows(values, prune, norms)
            assert torch.equal(ops.prune_mask_rows(values.cuda(), prune).cpu(), expected)
            assert torch.equal(ops.prune_mask_rows(values.cuda(), prune, norms.cuda()).cpu(), scaled)


@pytest.mark.parametrize("m", range(1, 33))
def test_prune_mask_n_of_m(m: int) -> None:
    for dtype in DTYPES:
        for values in (normal(37, 11 * m, dtype=dtype), normal(37, 11 * m).round().to(dtype)):
            norms = normal(11 * m, seed=1).abs()
            for n in sorted({1, (m + 1) // 2, m}):
                expected, scaled = ops.prune_mask_n_of_m(values, n, m), ops.prune_mask_n_of_m(values, n, m, norms)
                assert torch.equal(ops.prune_mask_n_of_m(values.cuda(), n, m).cpu(), expected)
                assert torch.equal(ops.prune_mask_n_of_m(values.cuda(), n, m, norms.cuda()).cpu(), scaled)


def test_prune_mask_model() -> None:
    pairs = [pair for dtype in DTYPES for pair in matrices(dtype)] + [(torch.empty(0, 7), torch.ones(7))]
    values, norms = [value for value, _ in pairs], [norm for _, norm in pairs]
    on_cuda, norms_on_cuda = [value.cuda() for value in values], [norm.cuda() for norm in norms]
    for prune in shares(sum(value.numel() for value in values)):
        expected, got = ops.prune_mask_model(values, prune), ops.prune_mask_model(on_cuda, prune)
        assert all(torch.equal(a, b.cpu()) for a, b in zip(expected, got, strict=True))
        expected, got = ops.prune_mask_model(values, prune, norms), ops.prune_mask_model(on_cuda, prune, norms_on_cuda)
        assert all(torch.equal(a, b.cpu()) for a, b in zip(expected, got, strict=True))
