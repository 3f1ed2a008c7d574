"""What every layer with a stored weight does as ``nn.Linear`` does: widths, autocast, errors."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import fairopt
from fairopt.errors import InputError
from fairopt.nn import QuantizedLinear

K, N = 96, 80  # rows of 3 blocks of 32: so have rows of 65 to 95
RECIPES = [
    "int4:g=32",
    "nf4:block=32,dq",
    "int4:g=16,int8=0.25",
    "hadamard:online+int4:g=32",
    "w8a8",
    "llm_int8",
    "magnitude:0.5+sparse",
    "magnitude:0.5+sparse:int8",
]


def stored(recipe: str) -> tuple[nn.Linear, Any]:
    torch.manual_seed(0)
    dense = nn.Linear(K, N)
    return dense, fairopt.compress(nn.Sequential(dense), recipe)[0]


@pytest.mark.parametrize("recipe", RECIPES)
def test_rows_of_another_length_are_refused_though_their_blocks_are_as_many(recipe: str) -> None:
    layer = stored(recipe)[1]
    for shape in [(4, K - 1), (4, K + 1), (2, 3, 1), (0,), ()]:
        with pytest.raises(InputError, match=rf"{type(layer).__name__}: x must be \[..., {K}\], got"):
            layer(torch.randn(shape))
    if isinstance(layer, QuantizedLinear):
        with pytest.raises(InputError, match="x must be"):
            layer.unpack()(torch.randn(4, K - 1))


@pytest.mark.parametrize("recipe", RECIPES)
def test_autocast_gives_the_types_of_a_dense_layer(recipe: str) -> None:
    dense, layer = stored(recipe)
    x = torch.randn(3, K, requires_grad=True)
    rounded = layer(x.detach())
    with torch.autocast("cpu", torch.bfloat16):
        for like in (x, x.detach().bfloat16(), x.detach().half()):
            assert layer(like).dtype == dense(like).dtype == torch.bfloat16
        y = layer(x)
        y.float().sum().backward()
        compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
        assert torch.equal(compiled(x), y)
    # Input and result are rounded to 2^-9 of themselves each; the row of K products is no larger than its sum of sizes.
    # w8a8 and its kin round inputs anew, by up to half a step of max |x| / 127, whichever side of it they fall.
    sizes = x.detach().abs() @ layer.dense_weight().abs().T
    steps = x.detach().abs().amax(-1, keepdim=True) / 127 * layer.dense_weight().abs().sum(1)
    bound = 2**-8 * (sizes + rounded.abs()) + (steps if recipe in ("w8a8", "llm_int8") else 0)
    if recipe == "int4:g=16,int8=0.25":
        bound = 2 * bound  # two parts are rounded each, and their sum again
    assert ((y - rounded).abs() <= bound + 1e-6).all()
    assert x.grad is not None
    assert x.grad.dtype == torch.float32
    assert layer(x.detach()).dtype == torch.float32


def test_autocast_reaches_the_branch_of_a_lora() -> None:
    layer = stored("int4:g=32")[1]
    z, b = torch.randn(3, 4), torch.randn(N, 4)
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(torch.randn(3, K), z, b)
    assert y.dtype == torch.bfloat16


def test_a_weight_that_is_no_matrix_and_a_block_of_0_are_refused() -> None:
    convolution: Any = nn.Conv1d(K, N, 1)
    with pytest.raises(InputError, match=r"weight must be \[out_features, in_features\], got \[80, 96, 1\]"):
        QuantizedLinear.from_linear(convolution, "nf4", 32)
    with pytest.raises(ValueError, match=r"block must be a multiple of 16 in .* got 0"):
        QuantizedLinear.from_linear(nn.Linear(K, N), "nf4", 0)


def test_tab_completion_names_what_the_room_offers() -> None:
    assert "QuantizedCache" in dir(fairopt.nn)
    assert "TYPE_CHECKING" not in dir(fairopt.nn)
