"""A weight with the zeros that a mask says: torch's ``where``, bit for bit."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import torch
from quantized import DTYPES, normal

from fairopt import ops

FLOATS = [*DTYPES, torch.float64]


def bits(x: torch.Tensor) -> torch.Tensor:
    return x.view({2: torch.int16, 4: torch.int32, 8: torch.int64}[x.element_size()])


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("shape", [(0,), (1,), (63,), (64, 1), (65,), (3, 100), (700, 301)])
def test_equals_where(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    weight = normal(*shape).to(dtype)
    if weight.numel() > 2:
        weight.view(-1)[:3] = torch.tensor([torch.nan, -torch.inf, -0.0])
    before, keep = weight.clone(), normal(*shape, seed=1) > 0
    assert torch.equal(bits(ops.apply_mask(weight, keep)), bits(torch.where(keep, weight, 0)))
    assert torch.equal(bits(weight), bits(before))


def test_large_and_strided_in_any_number_of_threads() -> None:
    weight, keep = normal(1200, 1100), normal(1100, 1200, seed=1) > 0
    expected = torch.where(keep, weight.T, 0)
    threads = torch.get_num_threads()
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            pruned = ops.apply_mask(weight.T, keep)
            assert torch.equal(pruned, expected)
            assert pruned.is_contiguous()
    finally:
        torch.set_num_threads(threads)


def test_gradient_passes_where_the_mask_keeps() -> None:
    weight, keep = normal(4, 6).double().requires_grad_(), normal(4, 6, seed=1) > 0
    assert torch.autograd.gradcheck(ops.apply_mask, (weight, keep))
    assert torch.autograd.gradgradcheck(ops.apply_mask, (weight, keep))
    for dtype in FLOATS:
        torch.library.opcheck(
            torch.ops.fairopt.apply_mask.default, (normal(3, 8).to(dtype).requires_grad_(), keep_of(3, 8))
        )
    got = torch.compile(lambda w: ops.apply_mask(w, keep).square().sum(), fullgraph=True, backend="aot_eager")(weight)
    assert torch.equal(torch.autograd.grad(got, weight)[0], torch.where(keep, 2 * weight, 0))


def keep_of(*shape: int) -> torch.Tensor:
    return normal(*shape, seed=2) > 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: ops.apply_mask(torch.ones(2, dtype=torch.int32), keep_of(2)),
            "apply_mask: weight must be float32, float16 or bfloat16, got int32",
        ),
        (lambda: ops.apply_mask(torch.ones(2), torch.ones(2)), "apply_mask: keep must be bool, got float32"),
        (lambda: ops.apply_mask(torch.ones(2, 3), keep_of(3)), "apply_mask: keep must be [2, 3] like weight, got [3]"),
    ],
)
def test_refusals(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()
