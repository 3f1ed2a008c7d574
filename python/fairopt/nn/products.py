"""The fp32 arithmetic of a dense model on the CPU: by the faster library, with bits that no thread changes.

torch sends fp32 products to MKL, which leaves half of the speed of processors of other makers unused (measured: 85
against 190 GFLOP/s on one core of a Zen 5). oneDNN, which torch carries too, generates its code for each shape, so
shapes should repeat. The products are fp32 either way.

torch splits SiLU and GELU between its threads wherever the division falls, and computes what is left of a split after
whole vectors by another formula, so the last bits follow the number of threads. In pieces of two grains every split
falls on a whole vector.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.overrides import TorchFunctionMode

# Rows are filled up to a multiple of this. Shapes repeat then; and small products, which MKL adds up in an order that
# depends on the number of threads (5 to 11 rows were found to), do not occur: a job has the same bits on any number.
ROWS = 64
PIECE = 2 * 32768  # elements: torch gives a thread no fewer than half of it


def round_rows(n: int) -> int:
    """The smallest multiple of 64 that is at least ``n``."""
    return -(-n // ROWS) * ROWS


def arithmetic() -> AbstractContextManager[Any]:
    """While this is entered, linear layers, GPT-2's transposed ones, SiLU and GELU are computed as the module says.

    Linear layers are differentiable, once; SiLU and GELU of what needs a gradient are torch's own.
    """
    return _Arithmetic()


def inner_products(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """``a @ b.T`` for [m, k] and [n, k], by the faster library where both are contiguous fp32 on the CPU."""
    return _product(a, b) if _suits(a, b) else functional.linear(a, b)


# Its compiler uses the same operator; a torch built without oneDNN has none, and multiplies as it always does.
_HAS_ONEDNN = hasattr(torch.ops.mkldnn, "_linear_pointwise")
_ACTIVATIONS = {functional.silu: torch.ops.aten.silu.out, functional.gelu: torch.ops.aten.gelu.out}


class _Arithmetic(TorchFunctionMode):
    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is functional.linear and _suits(*args[:2]):
            return _linear(*args, **kwargs)
        if func is torch.addmm and not kwargs and len(args) == 3 and args[0].dim() == 1 and _suits(args[1], args[2]):
            return _linear(args[1], args[2].t(), args[0])
        if func in _ACTIVATIONS and len(args) == 1 and _in_pieces(args[0]):
            kwargs.pop("inplace", None)
            return _activation(_ACTIVATIONS[func], args[0], **kwargs)
        return func(*args, **kwargs)


def _in_pieces(x: torch.Tensor) -> bool:
    return x.is_cpu and x.is_contiguous() and not (x.requires_grad and torch.is_grad_enabled())


def _activation(out_of: Callable[..., Any], x: torch.Tensor, **options: Any) -> torch.Tensor:
    found = torch.empty_like(x)
    for piece, place in zip(torch.split(x.view(-1), PIECE), torch.split(found.view(-1), PIECE), strict=True):
        out_of(piece, out=place, **options)
    return found


def _suits(x: torch.Tensor, weight: Any) -> bool:
    plain = type(weight) in (torch.Tensor, torch.nn.Parameter) and weight.dim() == 2
    fp32 = x.is_cpu and x.dtype == weight.dtype == torch.float32
    return bool(_HAS_ONEDNN and plain and fp32 and x.dim() >= 2 and x.numel())


def _linear(input: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    found: torch.Tensor = _Linear.apply(input, weight, bias)  # type: ignore[no-untyped-call]
    return found


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, input: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        ctx.save_for_backward(input, weight)
        return _product(input, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        input, weight = ctx.saved_tensors
        of_input, of_weight, of_bias = ctx.needs_input_grad
        rows = gradient.flatten(0, -2)
        return (
            _product(gradient, weight.t().contiguous()) if of_input else None,
            _product(rows.t().contiguous(), input.flatten(0, -2).t().contiguous()) if of_weight else None,
            rows.sum(0) if of_bias else None,
        )


def _product(input: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    found: torch.Tensor = torch.ops.mkldnn._linear_pointwise(input, weight, bias, "none", [], "")
    return found
