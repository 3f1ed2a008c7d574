"""SparseGPT as an operator: what it refuses, opcheck, empty weights."""

from __future__ import annotations

import pytest
import torch
from quantized import normal

from fairopt import ops


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prune": 129}, "prune must be between 0 and 128, got 129"),
        ({"n": 4, "m": 3}, r"n must be in \[0, m\], got 4"),
        ({"n": 1, "m": 64}, r"m must be in \[0, 32\], got 64"),
        ({"n": 2, "m": 5}, "m must divide the 32 columns, got 5"),
        ({"n": 2, "m": 4, "prune": 3}, "prune must be 0 beside n of m, got 3"),
        ({"columns": 0}, "columns must be at least 1, got 0"),
        ({"damp": -1.0}, "damp must be finite and >= 0, got -1"),
        ({"act_order": "static"}, "act_order must be none without a format, got static"),
        ({"format": "int4_sym", "block": 20}, "block must be a multiple of 16"),
        ({"format": "int9"}, "format must be one of"),
    ],
)
def test_refuses_arguments(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=f"sparsegpt: {message}"):
        ops.sparsegpt(normal(4, 32), torch.eye(32), **arguments)


def test_refuses_tensors() -> None:
    with pytest.raises(ValueError, match="sparsegpt: weight must be finite"):
        ops.sparsegpt(normal(4, 32) / 0, torch.eye(32))
    with pytest.raises(ValueError, match=r"sparsegpt: hessian must be \[32, 32\] for a weight \[4, 32\], got \[2, 2\]"):
        ops.sparsegpt(normal(4, 32), torch.eye(2))
    with pytest.raises(ValueError, match="sparsegpt: hessian must be finite, got 32 NaN or infinite values"):
        ops.sparsegpt(normal(4, 32), torch.full((32, 32), float("inf")).diagonal().diag() / 1)


@pytest.mark.parametrize("act_order", ["none", "dynamic"])
@pytest.mark.parametrize("format", ["int3_asym", "nf4", "int4_asym_float"])
def test_opcheck(format: str, act_order: str) -> None:
    op, inputs = torch.ops.fairopt.sparsegpt.default, (normal(6, 36), torch.eye(36) + 0.1)
    torch.library.opcheck(op, (*inputs, 100, 0, 0, format, 16, act_order))
    torch.library.opcheck(op, (*inputs, 0, 2, 4))
    torch.library.opcheck(op, (normal(2, 36).requires_grad_(), torch.eye(36), 10))


def test_empty_weights() -> None:
    found = ops.sparsegpt(torch.empty(0, 32), torch.eye(32))
    assert found.pruned.shape == (0, 32)
    assert found.report.tolist() == [0, 0.01, 0]
