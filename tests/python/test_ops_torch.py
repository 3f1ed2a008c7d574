"""What torch asks of an operator: opcheck, gradients, torch.compile, torch.export, one registration."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from quantized import DTYPES, Weight, normal, quantized
from torch.utils._python_dispatch import TorchDispatchMode

from fairopt import _core, ops
from fairopt.formats import FORMATS
from fairopt.ops import _library

OPS = torch.ops.fairopt


@pytest.mark.parametrize("format", FORMATS)
def test_opcheck_of_every_format(format: str) -> None:
    weight = quantized(normal(6, 35), format, 16)
    torch.library.opcheck(OPS.quantize_blockwise.default, (normal(6, 35), format, 16))
    torch.library.opcheck(OPS.dequantize_blockwise.default, (*weight, 35, torch.float32))
    x, bias = normal(2, 3, 35).requires_grad_(), normal(6).requires_grad_()
    torch.library.opcheck(OPS.quantized_linear.default, (x, *weight[:3], bias, format, 16))


@pytest.mark.parametrize("dtype", DTYPES[1:], ids=str)
def test_opcheck_of_16_bit_types(dtype: torch.dtype) -> None:
    weight = quantized(normal(6, 32, dtype=dtype))
    torch.library.opcheck(OPS.quantize_blockwise.default, (normal(32, 6, dtype=dtype).T, "int8", 16))
    torch.library.opcheck(OPS.dequantize_blockwise.default, (*weight, 32, dtype))
    torch.library.opcheck(OPS.quantized_linear.default, (normal(32, dtype=dtype), *weight[:3], None, "nf4", 32))
    torch.library.opcheck(OPS.prune_mask.default, (normal(3, 8, dtype=dtype), 7))
    torch.library.opcheck(OPS.prune_mask_n_of_m.default, (normal(8, 4, dtype=dtype).T, 2, 4))


def test_opcheck_of_scores_that_require_grad() -> None:
    score = normal(4, 8).requires_grad_()
    torch.library.opcheck(OPS.prune_mask.default, (score, 9))
    torch.library.opcheck(OPS.prune_mask_n_of_m.default, (score, 1, 4))
    torch.library.opcheck(OPS.quantize_blockwise.default, (score, "nf4", 16))


@pytest.mark.parametrize("format", ["nf4", "int4_asym"])
def test_gradients_are_those_of_the_dense_layer(format: str) -> None:
    weight = quantized(normal(2, 17), format, 16)
    x = normal(2, 1, 17).double().requires_grad_()
    bias = normal(2, seed=1).double().requires_grad_()
    assert torch.autograd.gradcheck(weight.linear, (x, bias))
    assert torch.autograd.gradgradcheck(weight.linear, (x, bias))
    grad_y = normal(2, 1, 2, seed=2).double()
    grads = torch.autograd.grad(weight.linear(x, bias), (x, bias), grad_y)
    dense = torch.nn.functional.linear(x, weight.dense(17).double(), bias)
    for got, want in zip(grads, torch.autograd.grad(dense, (x, bias), grad_y), strict=True):
        torch.testing.assert_close(got, want, rtol=2**-45, atol=2**-45)  # few products of order 1, u = 2^-53


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_gradients_have_the_type_of_x(dtype: torch.dtype) -> None:
    x = normal(32, dtype=dtype).requires_grad_()
    bias = normal(6, dtype=dtype).requires_grad_()
    quantized(normal(6, 32)).linear(x, bias).sum().backward()
    assert x.grad is not None
    assert (x.grad.dtype, x.grad.shape) == (dtype, x.shape)
    torch.testing.assert_close(bias.grad, torch.ones_like(bias), rtol=0, atol=0)


def test_quantised_weights_and_masks_are_constants() -> None:
    x = normal(4, 32).requires_grad_()
    codes, scales, zeros = ops.quantize_blockwise(x, "nf4", 32)
    assert not scales.requires_grad
    values = ops.dequantize_blockwise(codes, scales.requires_grad_(), zeros, "nf4", 32, 32)
    assert not values.requires_grad
    assert not ops.prune_mask(x, 3).requires_grad


def loss(weight: Weight) -> Callable[..., torch.Tensor]:
    return lambda x, bias: (weight.linear(x, bias).sin() + 1).sum()


def check_compiled(compiled: Callable[..., torch.Tensor], weight: Weight, rows: int) -> None:
    x, bias = normal(rows, 48, seed=rows).requires_grad_(), normal(10).requires_grad_()
    got, want = compiled(x, bias), loss(weight)(x, bias)
    torch.testing.assert_close(got, want)
    for a, b in zip(torch.autograd.grad(got, (x, bias)), torch.autograd.grad(want, (x, bias)), strict=True):
        torch.testing.assert_close(a, b)


def test_without_gradients_it_is_the_same_operator() -> None:
    seen = []

    class Spy(TorchDispatchMode):
        def __torch_dispatch__(self, operator: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            seen.append(operator)
            return operator(*args, **(kwargs or {}))

    weight = quantized(normal(6, 64), "int4_sym", 64)
    packed = ops.pack_weight(*weight[:3], "int4_sym", 64, 64)
    x, bias = normal(2, 64).requires_grad_(), normal(6).requires_grad_()
    with torch.no_grad(), Spy():
        y = ops.packed_linear(x, packed, bias, "int4_sym", 64, 6, "exact")
    assert seen == [OPS.packed_linear.default]
    assert not y.requires_grad
    assert torch.equal(y, ops.packed_linear(x, packed, bias, "int4_sym", 64, 6, "exact"))
    (y * bias).sum().backward()  # not a tensor of inference mode: it may meet gradients later
    assert bias.grad is not None


def test_compile_fullgraph_with_gradients() -> None:
    weight = quantized(normal(10, 48), "int4_asym", 16)
    check_compiled(torch.compile(loss(weight), fullgraph=True), weight, 3)


def test_compile_once_for_all_batch_sizes() -> None:
    weight = quantized(normal(10, 48), "nf4", 16)
    torch._dynamo.reset()  # what the test before compiled is of the same code
    compiled = torch.compile(loss(weight), fullgraph=True, dynamic=True, backend="aot_eager")
    with torch._dynamo.config.patch(error_on_recompile=True):
        for rows in (5, 7, 17):  # no size of the weight: torch takes equal sizes for the same symbol
            check_compiled(compiled, weight, rows)


def test_export() -> None:
    class Layer(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            codes, scales, zeros = ops.quantize_blockwise(normal_weight * 2, "nf4", 32)
            keep = ops.prune_mask(x, x.shape[0])
            return ops.quantized_linear(torch.where(keep, x, 0), codes, scales, zeros, None, "nf4", 32)

    normal_weight = normal(6, 32)
    batch = torch.export.Dim("batch")
    exported = torch.export.export(Layer(), (normal(4, 32),), dynamic_shapes={"x": {0: batch}})
    names = {str(node.target) for node in exported.graph.nodes if node.op == "call_function"}
    assert {"fairopt.quantize_blockwise.default", "fairopt.quantized_linear.default"} <= names
    x = normal(7, 32, seed=1)
    torch.testing.assert_close(exported.module()(x), Layer()(x), rtol=0, atol=0)


@pytest.mark.parametrize("name", [name for name in ops.__all__ if name.islower()])  # classes are no operators
def test_every_operator_has_a_door_for_cuda_tensors(name: str) -> None:
    for key in ("CPU", "CUDA", "Meta", "Autograd"):
        assert torch._C._dispatch_has_kernel_for_dispatch_key(f"fairopt::{name}", key), key


def test_a_second_copy_and_an_old_torch_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ImportError, match="operators must be loaded once, got a second copy at"):
        _library.load(tmp_path / "libfairopt_ops.so")
    monkeypatch.setattr(torch, "__version__", "2.9.1")
    with pytest.raises(ImportError, match=r"torch must be 2\.10 or newer, got 2\.9\.1"):
        _library.load(tmp_path / "libfairopt_ops.so")


def test_a_missing_or_broken_library_says_so(tmp_path: Path) -> None:
    code = f"""
import pathlib, fairopt._core
fairopt._core.__file__ = {str(tmp_path / "_core.so")!r}
for _ in range(2):
    try:
        import fairopt.ops
    except ImportError as error:
        print(error)
    pathlib.Path({str(tmp_path / "libfairopt_ops.so")!r}).write_text("no library")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    missing, broken = done.stdout.splitlines()
    assert "got no such file: fairopt was built without torch" in missing
    assert "must load with torch" in broken
    assert "file too short" in broken or "invalid ELF header" in broken


def test_stubs_are_those_of_the_extension() -> None:
    tool = Path(__file__).resolve().parents[2] / "tools" / "make_stubs.py"
    done = subprocess.run([sys.executable, tool, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert _core.__doc__
