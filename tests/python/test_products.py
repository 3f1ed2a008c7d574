"""fairopt.nn.products: the arithmetic of dense models, differentiable; and blocks that remember what stays the same."""

from __future__ import annotations

import pytest
import torch
from decoder_blocks import FAMILIES, block_task, model_of
from quantized import normal
from torch.nn import functional

from fairopt.compress.architectures import block_layout
from fairopt.compress.layers import dense_weight
from fairopt.compress.recipe import Quantize
from fairopt.compress.solvers.block_error import standing_in
from fairopt.compress.solvers.recall import Recall
from fairopt.nn import products
from fairopt.nn.products import arithmetic, inner_products

U = 2.0**-24  # half a step of fp32 at 1


@pytest.mark.parametrize("transposed", [False, True], ids=["linear", "conv1d"])
def test_gradients_are_those_of_torch(transposed: bool) -> None:
    x, weight, bias = normal(2, 33, 96), normal(80, 96, seed=1), normal(80, seed=2)
    given = [t.double().requires_grad_() for t in (x, weight, bias)]
    single = [t.clone().requires_grad_() for t in (x, weight, bias)]

    def loss(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        y = torch.addmm(bias, x.view(-1, 96), weight.t()) if transposed else functional.linear(x, weight, bias)
        return functional.silu(y).square().sum()

    want = torch.autograd.grad(loss(*given), given)
    with arithmetic():
        got = torch.autograd.grad(loss(*single), single)
    for exact, found in zip(want, got, strict=True):
        # Sums of 96, then of at most 80 terms, each rounded a few times on the way.
        torch.testing.assert_close(found.double(), exact, rtol=0, atol=float(exact.abs().max()) * 256 * U)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_inner_products(dtype: torch.dtype) -> None:
    a, b = normal(130, 70).to(dtype), normal(50, 70, seed=1).to(dtype)
    want = a.double() @ b.double().T
    unit = 2.0**-8 if dtype == torch.bfloat16 else 70 * U
    torch.testing.assert_close(inner_products(a, b).double(), want, rtol=0, atol=float(want.abs().max()) * 2 * unit)


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_a_block_that_remembers_computes_the_same_bits(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    task = block_task(model_of(family), Quantize("int4_sym", 32))
    computed: list[int] = []
    product = products._product
    monkeypatch.setattr(products, "_product", lambda *given: computed.append(1) or product(*given))
    for position, fold in enumerate(block_layout(task.block, "test").folds):
        run = Recall(task.block, fold.layers)
        for turn, factor in enumerate((1.0, 0.5, 1.5)):
            weights = {name: dense_weight(task.layer(name)) * factor for name in fold.layers}
            with standing_in(task.block, weights):
                for index, call in enumerate(task.calls):
                    computed.clear()
                    found, products_of_it = run(index, call), len(computed)
                    assert torch.equal(found, call(task.block))
                    whole = len(computed) - products_of_it
                    skips = turn > 0 and position > 0  # the first norm has nothing before it
                    assert products_of_it < whole if skips else products_of_it == whole
    assert not any("forward" in module.__dict__ for module in task.block.modules())
