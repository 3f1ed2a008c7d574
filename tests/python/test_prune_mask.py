"""Masks: against a stable sort of the scores, on both surfaces; torch's contract; refusals."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from quantized import DTYPES, normal

from fairopt import formats, ops

OPS = torch.ops.fairopt


def scores_of(values: torch.Tensor, norms: torch.Tensor | None) -> torch.Tensor:
    return values.float().abs() if norms is None else values.float().abs() * norms


def smallest_pruned(scores: torch.Tensor, prune: int) -> torch.Tensor:
    """The definition, for each row: a stable sort, and the first ``prune`` go."""
    mask = torch.ones_like(scores, dtype=torch.bool)
    return mask.scatter_(-1, scores.sort(dim=-1, stable=True).indices[..., :prune], False)


@st.composite
def matrices(draw: st.DrawFn, columns: st.SearchStrategy[int]) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Values [rows, k] and norms [k] or None: any values, few distinct ones, or long rows."""
    k, dtype = draw(columns), draw(st.sampled_from(DTYPES))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    values = torch.randn(draw(st.integers(1, 5)), k, generator=generator).to(dtype)
    if draw(st.booleans()):
        values = (values * draw(st.sampled_from([0.5, 1, 4]))).round()
    norms = torch.rand(k, generator=generator) if draw(st.booleans()) else None
    if norms is not None and draw(st.booleans()):
        norms = norms.round()
    return values, norms


ANY_COLUMNS = st.integers(0, 70) | st.integers(1000, 5000)


def as_numpy(x: torch.Tensor) -> np.ndarray:
    return x.view(torch.uint16).numpy() if x.dtype == torch.bfloat16 else x.numpy()


@given(matrix=matrices(ANY_COLUMNS), share=st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_prune_mask_is_the_cut_of_a_stable_sort(matrix, share):
    values, norms = matrix
    prune = round(share * values.numel())
    mask = ops.prune_mask(values, prune, norms)
    expected = smallest_pruned(scores_of(values, norms).flatten(), prune).view_as(values)
    assert torch.equal(mask, expected)
    other = formats.prune_mask(as_numpy(values), prune, None if norms is None else norms.numpy())
    np.testing.assert_array_equal(other, expected.numpy())


@given(matrix=matrices(ANY_COLUMNS), share=st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_prune_mask_rows_is_the_cut_of_each_row(matrix, share):
    values, norms = matrix
    prune = round(share * values.shape[1])
    mask = ops.prune_mask_rows(values, prune, norms)
    expected = smallest_pruned(scores_of(values, norms), prune)
    assert torch.equal(mask, expected)
    other = formats.prune_mask_rows(as_numpy(values), prune, None if norms is None else norms.numpy())
    np.testing.assert_array_equal(other, expected.numpy())


@given(data=st.data(), m=st.integers(1, 32))
@settings(max_examples=60, deadline=None)
def test_prune_mask_n_of_m_is_the_cut_of_each_group(data, m):
    n = data.draw(st.integers(1, m))
    values, norms = data.draw(matrices(st.integers(0, 9).map(lambda groups: groups * m)))
    mask = ops.prune_mask_n_of_m(values, n, m, norms)
    groups = scores_of(values, norms).reshape(-1, m)
    assert torch.equal(mask, smallest_pruned(groups, m - n).view_as(values))


@given(data=st.data(), scaled=st.booleans(), share=st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_prune_mask_model_is_one_cut_of_all(data, scaled, share):
    drawn = data.draw(st.lists(matrices(ANY_COLUMNS), min_size=1, max_size=5))
    values = [tensor for tensor, _ in drawn]
    norms = [torch.rand(tensor.shape[1]) for tensor in values] if scaled else None
    scores = [scores_of(tensor, norms[i] if norms else None).flatten() for i, tensor in enumerate(values)]
    prune = round(share * sum(len(score) for score in scores))
    masks = ops.prune_mask_model(values, prune, norms)
    expected = smallest_pruned(torch.cat(scores), prune).split([len(score) for score in scores])
    for mask, tensor, want in zip(masks, values, expected, strict=True):
        assert torch.equal(mask, want.view_as(tensor))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("tied", [False, True])
def test_large_tensors_in_any_number_of_threads(dtype: torch.dtype, tied: bool) -> None:
    values = normal(1100, 1700, dtype=dtype)
    if tied:
        values = values.round()
    norms = normal(1700, seed=1).abs()
    calls: list[Callable[[], list[torch.Tensor]]] = [
        lambda: [ops.prune_mask(values, 900_000)],
        lambda: [ops.prune_mask(values, 900_000, norms)],
        lambda: [ops.prune_mask_rows(values, 800, norms)],
        lambda: ops.prune_mask_model([values[:300], values[300:]], 1_200_000, [norms, norms]),
        lambda: [ops.prune_mask_n_of_m(values, 2, 4, norms)],
    ]
    scaled = scores_of(values, norms)
    expected = [
        smallest_pruned(scores_of(values, None).flatten(), 900_000),
        smallest_pruned(scaled.flatten(), 900_000),
        smallest_pruned(scaled, 800),
        smallest_pruned(scaled.flatten(), 1_200_000),
        smallest_pruned(scaled.reshape(-1, 4), 2),
    ]
    threads = torch.get_num_threads()
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            for call, want in zip(calls, expected, strict=True):
                assert torch.equal(torch.cat(call()).flatten(), want.flatten())
    finally:
        torch.set_num_threads(threads)


def test_scores_in_the_order_of_memory_and_against_it() -> None:
    """Sorted scores, and a few huge ones at equal distances: no sample of them may mislead."""
    rising = torch.arange(2_000_000, dtype=torch.float32)
    for values in (rising, rising.flip(0), torch.where(rising % 4096 == 0, 1e30, rising % 1009)):
        assert torch.equal(ops.prune_mask(values, 777_777), smallest_pruned(values, 777_777))


def test_a_mask_larger_than_the_caches_is_that_of_its_parts() -> None:
    """Beyond 16 million entries a mask goes past the caches; each part of it stays below."""
    values, rows = normal(4100, 4100), 2000
    parts, whole = [values[:rows], values[rows:]], torch.empty(values.shape, dtype=torch.bool)
    for _ in range(2):  # new memory, then memory that was written before
        ops.prune_mask_n_of_m(values, 2, 4, out=whole)
        assert torch.equal(whole, torch.cat([ops.prune_mask_n_of_m(part, 2, 4) for part in parts]))
    ops.prune_mask_n_of_m(values.bfloat16(), 2, 4, out=whole)
    assert torch.equal(whole, torch.cat([ops.prune_mask_n_of_m(part.bfloat16(), 2, 4) for part in parts]))
    ops.prune_mask_rows(values, 4000, out=whole)
    assert torch.equal(whole, torch.cat([ops.prune_mask_rows(part, 4000) for part in parts]))
    threshold = values.abs().flatten().kthvalue(9_000_000).values
    assert torch.equal(ops.prune_mask(values, 9_000_000, out=whole).sum(), torch.tensor(4100**2 - 9_000_000))
    assert not whole[values.abs() < threshold].any()
    assert whole[values.abs() > threshold].all()


def test_out_is_written_and_returned() -> None:
    values, norms = normal(6, 8).requires_grad_(), normal(8, seed=1).abs()
    out = torch.empty(6, 8, dtype=torch.bool)
    for made, again in [
        (ops.prune_mask(values, 20, norms), lambda: ops.prune_mask(values, 20, norms, out=out)),
        (ops.prune_mask_rows(values, 3), lambda: ops.prune_mask_rows(values, 3, out=out)),
        (ops.prune_mask_n_of_m(values, 2, 4, norms), lambda: ops.prune_mask_n_of_m(values, 2, 4, norms, out=out)),
    ]:
        assert again() is out
        assert torch.equal(out, made)

    def recomputed(weight: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
        return weight * ops.prune_mask_n_of_m(weight, 2, 4, out=keep)

    kept = torch.compile(recomputed, fullgraph=True, backend="aot_eager")(values, out)
    assert torch.equal(kept, values * ops.prune_mask_n_of_m(values, 2, 4))
    assert torch.equal(out, ops.prune_mask_n_of_m(values, 2, 4))


def test_inputs_of_any_strides_are_left_alone() -> None:
    values, norms = normal(40, 12), normal(80, seed=1).abs()
    before = values.clone(), norms.clone()
    got = ops.prune_mask_rows(values.T, 11, norms[::2])
    assert torch.equal(got, smallest_pruned(values.T.abs() * norms[::2], 11))
    assert torch.equal(values, before[0])
    assert torch.equal(norms, before[1])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_opcheck(dtype: torch.dtype) -> None:
    score, norms = normal(3, 8, dtype=dtype).requires_grad_(), normal(8).abs()
    for norm in (None, norms):
        torch.library.opcheck(OPS.prune_mask.default, (score, 7, norm))
        torch.library.opcheck(OPS.prune_mask_rows.default, (score, 7, norm))
        torch.library.opcheck(OPS.prune_mask_n_of_m.default, (score, 2, 4, norm))
    torch.library.opcheck(OPS.prune_mask_model.default, ([score, score.detach().T], 7))
    torch.library.opcheck(OPS.prune_mask_model.default, ([score, score.detach()], 7, [norms, norms]))


def test_masks_are_constants_of_autograd_and_of_compiled_graphs() -> None:
    def pruned(a: torch.Tensor, b: torch.Tensor, norms: torch.Tensor) -> torch.Tensor:
        one, two = ops.prune_mask_model([a, b], 20)
        return (a * one * ops.prune_mask_rows(a, 2, norms)).sum() + (b * two).sum()

    a, b, norms = normal(4, 8).requires_grad_(), normal(2, 8, seed=1).requires_grad_(), normal(8, seed=2).abs()
    assert not ops.prune_mask_model([a], 3)[0].requires_grad
    got = torch.compile(pruned, fullgraph=True, backend="aot_eager")(a, b, norms)
    torch.testing.assert_close(got, pruned(a, b, norms), rtol=0, atol=0)
    (grad,) = torch.autograd.grad(got, a)
    assert torch.equal(grad != 0, ops.prune_mask_model([a, b], 20)[0] & ops.prune_mask_rows(a, 2, norms))


X, NORMS = normal(4, 32), torch.ones(32)
BAD = X.clone()
BAD[1, 2], BAD[3, 4] = torch.nan, -torch.inf


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: ops.prune_mask_rows(X, 33),
            "prune_mask_rows: prune must be between 0 and the 32 columns of score, got 33",
        ),
        (
            lambda: ops.prune_mask_rows(X, -1),
            "prune_mask_rows: prune must be between 0 and the 32 columns of score, got -1",
        ),
        (
            lambda: ops.prune_mask_rows(torch.tensor(1.0), 0),
            "prune_mask_rows: score must be of at least one dimension, got a scalar",
        ),
        (lambda: ops.prune_mask_rows(BAD, 1), "prune_mask_rows: score must be finite, got 2 NaN or infinite values"),
        (lambda: ops.prune_mask(BAD, 0), "prune_mask: score must be finite, got 2 NaN or infinite values"),
        (lambda: ops.prune_mask(X, 1, NORMS[1:]), "prune_mask: norms must be [32] like the columns of score, got [31]"),
        (lambda: ops.prune_mask(X, 1, NORMS.double()), "prune_mask: norms must be float32, got float64"),
        (lambda: ops.prune_mask(X, 1, -NORMS), "prune_mask: norms must be at least 0, got -1"),
        (lambda: ops.prune_mask(X, 1, NORMS / 0), "prune_mask: norms must be finite, got 32 NaN or infinite values"),
        (lambda: ops.prune_mask(X, 1, out=X), "prune_mask: out must be bool, got float32"),
        (
            lambda: ops.prune_mask_rows(X, 1, out=torch.ones(4, 31, dtype=torch.bool)),
            "prune_mask_rows: out must be [4, 32] like score, got [4, 31]",
        ),
        (
            lambda: ops.prune_mask_n_of_m(X, 2, 4, out=torch.ones(32, 4, dtype=torch.bool).T),
            "prune_mask_n_of_m: out must be contiguous, got a strided view",
        ),
        (
            lambda: ops.prune_mask_n_of_m(BAD, 2, 4),
            "prune_mask_n_of_m: score must be finite, got 2 NaN or infinite values",
        ),
        (
            lambda: ops.prune_mask_n_of_m(X, 2, 4, NORMS[:4]),
            "prune_mask_n_of_m: norms must be [32] like the columns of score, got [4]",
        ),
        (
            lambda: ops.prune_mask_model([X, X], 257),
            "prune_mask_model: prune must be between 0 and the 256 values of scores, got 257",
        ),
        (lambda: ops.prune_mask_model([], 0), "prune_mask_model: scores must be at least one tensor, got none"),
        (
            lambda: ops.prune_mask_model([X, X.long()], 2),
            "prune_mask_model: scores[1] must be float32, float16 or bfloat16, got int64",
        ),
        (
            lambda: ops.prune_mask_model([X, BAD], 2),
            "prune_mask_model: scores[1] must be finite, got 2 NaN or infinite values",
        ),
        (
            lambda: ops.prune_mask_model([X, X], 2, [NORMS]),
            "prune_mask_model: norms must be as many as the 2 scores, got 1",
        ),
        (
            lambda: ops.prune_mask_model([X, X], 2, [NORMS, NORMS[:3]]),
            "prune_mask_model: norms[1] must be [32] like the columns of scores[1], got [3]",
        ),
        (
            lambda: formats.prune_mask_model([X.numpy()], 2, []),
            "prune_mask_model: norms must be as many as the 1 scores, got 0",
        ),
        (
            lambda: formats.prune_mask_rows(X.numpy(), 2, NORMS[:3].numpy()),
            "prune_mask_rows: norms must be [32] like the columns of score, got (3,)",
        ),
    ],
)
def test_refusals(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()
