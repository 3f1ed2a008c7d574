"""Loading of ``libfairopt_ops``, which registers the operators with torch, and what several of them share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.torch_version import TorchVersion

from fairopt import _core


def load(library: Path) -> None:
    """Register the operators with torch.

    Raises:
        ImportError: torch is too old, the library was not built, or another copy of it is loaded.
    """
    if TorchVersion(torch.__version__) < "2.10":
        raise ImportError(f"fairopt.ops: torch must be 2.10 or newer, got {torch.__version__}")
    if str(library) in torch.ops.loaded_libraries:
        return
    if hasattr(torch.ops.fairopt, "quantize_blockwise"):  # torch would not raise but crash
        raise ImportError(f"fairopt.ops: the operators must be loaded once, got a second copy at {library}")
    if not library.exists():
        raise ImportError(
            f"fairopt.ops: {library} must be there, got no such file: fairopt was built without torch. "
            "Install torch>=2.10, then fairopt again"
        )
    try:
        torch.ops.load_library(str(library))  # type: ignore[no-untyped-call]
    except OSError as error:
        why = error.__cause__ or error  # torch wraps the loader's own words
        raise ImportError(f"fairopt.ops: {library} must load with torch {torch.__version__}, got: {why}") from error


load(Path(_core.__file__).with_name("libfairopt_ops.so"))


def call(operator: Callable[..., Any], *args: Any) -> Any:
    """``operator(*args)``, past its autograd formula where gradients are off.

    The formula is Python, which torch's dispatcher enters whatever the mode: some 4 microseconds a call, as much as a
    small product takes. A compiler and an exporter trace the operator itself.
    """
    if torch.is_grad_enabled() or torch.compiler.is_compiling():
        return operator(*args)
    with torch._C._AutoDispatchBelowAutograd():
        return operator(*args)


def _constant(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    ctx.mark_non_differentiable(*(output if isinstance(output, tuple | list) else (output,)))


def _no_gradient(ctx: Any, *grads: torch.Tensor) -> None:
    raise AssertionError("torch asked for the gradient of an output that is marked as having none")


def register_constant(name: str) -> None:
    """Say that the results of an operator are constants: autograd goes around them."""
    torch.library.register_autograd(f"fairopt::{name}", _no_gradient, setup_context=_constant)
