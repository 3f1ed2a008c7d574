"""The CUDA side: what the loader says on any machine, and parity with the CPU kernels where there is a device."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from quantized import DTYPES, Weight, normal, quantized

from fairopt import _core, ops
from fairopt.formats import FORMATS
from fairopt.nn import QuantizedLinear

LIBRARY = Path(_core.__file__).with_name("libfairopt_cuda.so")


def status_with(library: Path) -> str:
    code = "from fairopt import _core; print(_core.cuda_status())"
    environment = {**os.environ, "FAIROPT_CUDA_LIB": str(library)}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_status_says_what_was_found() -> None:
    status = _core.cuda_status()
    if torch.cuda.is_available() and LIBRARY.exists():
        assert re.fullmatch(r"usable: \d+ x .+; runtime \d+\.\d, driver \d+\.\d", status)
    elif not LIBRARY.exists():
        assert status == f"not built: there is no {LIBRARY}"
    else:  # no driver (35), or a driver that sees no device (100)
        assert re.fullmatch(r"built, not usable: cudaError\w+ \((35|100)\): .+; runtime \d+\.\d, .*driver.*", status)


def test_status_of_a_library_named_by_the_environment(tmp_path: Path) -> None:
    missing = tmp_path / "missing.so"
    assert status_with(missing) == f"not built: there is no {missing}"
    broken = tmp_path / "broken.so"
    broken.write_text("no library")
    assert status_with(broken).startswith(f"built, not usable: {broken}: ")
    foreign = Path(_core.__file__).with_name("libfairopt_ops.so")  # a library, but not this one; it needs torch loaded
    assert status_with(foreign).startswith("built, not usable: ")


SHAPES = [(1, 1), (3, 33), (63, 64), (65, 1000), (5, 4113)]
SIZES = [(1, 1, 16), (63, 31, 16), (65, 33, 48), (64, 1024, 64), (130, 2500, 128), (48, 2080, 32), (40, 528, 4096)]
SIZES += [(33, 2336, 128), (18, 1184, 256), (17, 320, 96)]  # strips that end within a row, rows within a tile


@pytest.mark.cuda
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("format", FORMATS)
def test_quantize_and_dequantize_on_cuda_are_the_cpu_bits(format: str, dtype: torch.dtype) -> None:
    for block in (16, 64, 4096):
        for rows, cols in SHAPES:
            x = normal(rows, cols, dtype=dtype)
            x[0] = 0  # a block of zeros
            expected, got = quantized(x, format, block), quantized(x.cuda(), format, block)
            assert all(torch.equal(a, b.cpu()) for a, b in zip(expected[:3], got[:3], strict=True))
            values = ops.dequantize_blockwise(*got, cols, dtype)
            assert torch.equal(values.cpu(), ops.dequantize_blockwise(*expected, cols, dtype))


def cuda_bound(x: torch.Tensor, weight: Weight, bias: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """linear_bound, with what CUDA kernels do besides.

    Zero points are multiplied with sums of x, so that products of codes and zero points are summed apart: their
    magnitudes count, twice at most. Tensor cores may truncate where an addition would round, to no fewer bits than fp32
    has: 2 u a step, and twice that for the sum of two that a codebook value is. Many rows of 16-bit x meet weights that
    were rounded to their type, half an ulp or half of fp16's smallest subnormal.
    """
    k = x.shape[-1]
    dense = weight.dense(k).double().abs()
    shift = torch.zeros_like(dense)
    if weight.zeros.numel():
        zero = weight.zeros.double() * (weight.scales.double() if weight.zeros.dtype == torch.uint8 else 1)
        shift = zero.abs().repeat_interleave(weight.block, 1)[:, :k]
    magnitude = x.double().abs() @ (dense + 2 * shift).T + bias.double().abs()
    u = (k + 2) * (2.0**-24 if dtype == torch.float32 else 2.0**-22)
    bound = u / (1 - u) * magnitude
    if dtype == torch.float32:
        return bound
    half_ulp = torch.finfo(dtype).eps / 2
    weights = half_ulp * (x.double().abs() @ dense.T) + 2.0**-25 * x.double().abs().sum(-1, keepdim=True)
    return bound + weights + half_ulp * (magnitude + bound + weights) + 2.0**-25


@pytest.fixture
def fp32_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch may add parts of a product of many rows in their 16-bit type; without that, errors can be bounded."""
    for name in ("allow_fp16_reduced_precision_reduction", "allow_bf16_reduced_precision_reduction"):
        monkeypatch.setattr(torch.backends.cuda.matmul, name, False)


@pytest.mark.cuda
@pytest.mark.usefixtures("fp32_sums")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("format", FORMATS)
def test_quantized_linear_on_cuda_agrees_with_float64(format: str, dtype: torch.dtype) -> None:
    for n, k, block in SIZES:
        weight = quantized(normal(n, k), format, block)
        on_cuda = weight.to("cuda")
        bias = normal(n, dtype=dtype, seed=2)
        for m in (0, 1, 3, 8, 9, 17, 40, 64, 129):
            x = normal(m, k, dtype=dtype, seed=m)
            exact = x.double() @ weight.dense(k).double().T + bias.double()
            y = on_cuda.linear(x.cuda(), bias.cuda()).cpu()
            assert y.dtype == dtype
            assert ((y.double() - exact).abs() <= cuda_bound(x, weight, bias, dtype)).all(), (m, n, k)


@pytest.mark.cuda
@pytest.mark.parametrize("format", ["nf4", "int4_asym", "int8"])
def test_a_row_on_cuda_is_the_same_bits_whatever_the_other_rows(format: str) -> None:
    for dtype, rows in [(torch.float32, 8), (torch.bfloat16, 64)]:
        for k, block in [(704, 64), (4128, 32), (2336, 128)]:
            weight = quantized(normal(100, k), format, block).to("cuda")
            x = normal(rows, k, dtype=dtype, seed=1).cuda()
            y = weight.linear(x)
            for m in range(1, rows, 7):
                assert torch.equal(weight.linear(x[:m]), y[:m])
                assert torch.equal(weight.linear(x[rows - m :]), y[rows - m :])


@pytest.mark.cuda
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_launch_can_be_captured_in_a_graph(dtype: torch.dtype) -> None:
    weight = quantized(normal(96, 1024), "nf4", 64).to("cuda")
    for m in (1, 8, 40, 200):
        x = normal(m, 1024, dtype=dtype, seed=1).cuda()
        expected = weight.linear(x)  # also what torch sets up when it first multiplies
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            y = weight.linear(x)
        y.zero_()
        graph.replay()
        assert torch.equal(y, expected)


def awkward_rows(m: int, k: int, dtype: torch.dtype) -> torch.Tensor:
    """Ordinary rows, then rows that a mode must hand to a finer one: outliers near and far, zeros, NaN, infinity."""
    x = normal(m, k, dtype=dtype, seed=m)
    for row, (values, at) in enumerate([((100.0,), 3), ((30000.0,), 5), ((float("nan"),), 7), ((float("inf"),), 9)], 1):
        if row < m:
            x[row, min(at, k - 1)] = values[0]
    if m > 5:
        x[5, : k // 2] = 0
    return x


@pytest.mark.cuda
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("format", ["int8", "int4_sym", "int4_asym"])
@pytest.mark.parametrize("mode", ["a8", "a16", "a24"])
def test_integer_modes_on_cuda_are_the_cpu_bits(mode: str, format: str, dtype: torch.dtype) -> None:
    for n, k, block in [(1, 1, 16), (63, 31, 16), (65, 33, 48), (64, 1024, 64), (130, 2500, 128), (40, 528, 4096)]:
        weight = quantized(normal(n, k), format, block)
        packed = ops.pack_weight(*weight[:3], format, block, k)
        bias = normal(n, dtype=dtype, seed=2)
        for m in (0, 1, 8, 19):
            x = awkward_rows(m, k, dtype)
            expected = ops.packed_linear(x, packed, bias, format, block, n, mode)
            on_cuda = weight.to("cuda")
            y = ops.quantized_linear(x.cuda(), *on_cuda[:3], bias.cuda(), format, block, mode).cpu()
            torch.testing.assert_close(y, expected, rtol=0, atol=0, equal_nan=True)


@pytest.mark.cuda
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("threshold", [float("inf"), 6.0, 0.5])
def test_dynamic_int8_linear_on_cuda_is_the_cpu_bits(threshold: float, dtype: torch.dtype) -> None:
    for n, k in [(1, 0), (1, 1), (16, 64), (33, 31), (40, 1040), (7, 2500)]:
        codes = torch.randint(-127, 128, (n, k), generator=torch.Generator().manual_seed(k), dtype=torch.int8)
        scales, bias = normal(n, seed=1).abs() / 100, normal(n, dtype=dtype, seed=2)
        for m in (0, 1, 8, 19, 70):
            x = awkward_rows(m, k, dtype) if k else torch.empty(m, 0, dtype=dtype)
            for one in (bias, None):
                expected = ops.dynamic_int8_linear(x, codes, scales, one, threshold)
                y = ops.dynamic_int8_linear(
                    *(None if t is None else t.cuda() for t in (x, codes, scales, one)), threshold
                )
                torch.testing.assert_close(y.cpu(), expected, rtol=0, atol=0, equal_nan=True)


@pytest.mark.cuda
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("transpose", [False, True])
def test_hadamard_transform_on_cuda_is_the_cpu_bits(transpose: bool, dtype: torch.dtype) -> None:
    for rows, cols in [(0, 8), (3, 1), (3, 7), (2, 12), (5, 48), (3, 86), (9, 344), (4, 4096), (2, 11008), (1, 28672)]:
        x = normal(rows, cols, dtype=dtype)
        y = ops.hadamard_transform(x.cuda(), transpose).cpu()
        assert torch.equal(y, ops.hadamard_transform(x, transpose)), (rows, cols)


@pytest.mark.cuda
def test_double_dequantize_on_cuda_is_the_cpu_bits() -> None:
    for n in (0, 1, 255, 256, 1025, 70_001):
        nested = ops.double_quantize(normal(n).abs())
        scales = ops.double_dequantize(*(t.cuda() for t in nested))
        assert torch.equal(scales.cpu(), ops.double_dequantize(*nested))


@pytest.mark.cuda
def test_a_layer_on_cuda_keeps_to_an_integer_mode() -> None:
    layer = QuantizedLinear.from_linear(torch.nn.Linear(128, 24), "int4_sym", 32)
    layer.mode = "a16"
    layer.pack()  # on the CPU only packed layers have the integer modes
    x = normal(3, 128)
    with torch.inference_mode():
        expected = layer(x)
        assert torch.equal(layer.cuda()(x.cuda()).cpu(), expected)


@pytest.mark.cuda
def test_unaligned_and_strided_tensors_on_cuda() -> None:
    weight = quantized(normal(64, 1024)).to("cuda")
    shifted = torch.empty(weight.codes.numel() + 1, dtype=torch.uint8, device="cuda")[1:].view_as(weight.codes)
    shifted.copy_(weight.codes)
    x = normal(1024, 3, seed=1).cuda().T
    y = Weight(shifted, *weight[1:]).linear(x)
    assert torch.equal(y, weight.linear(x.contiguous()))


@pytest.mark.cuda
def test_the_current_stream_and_device_are_used_and_kept() -> None:
    weight = quantized(normal(512, 4096)).to("cuda")
    x = normal(4, 4096, seed=1).cuda()
    expected = weight.linear(x)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        late = x * 0
        for _ in range(50):  # work that a launch on another stream would overtake
            late = late * 0 + x
        y = weight.linear(late)
    stream.synchronize()
    assert torch.equal(y, expected)
    last = torch.cuda.device_count() - 1
    there = Weight(*(t.to(f"cuda:{last}") for t in weight[:3]), weight.format, weight.block)
    assert torch.equal(there.linear(x.to(f"cuda:{last}")).cpu(), expected.cpu())
    assert torch.cuda.current_device() == 0


@pytest.mark.cuda
def test_gradients_on_cuda_are_those_of_the_dense_layer() -> None:
    weight = quantized(normal(10, 48), "int4_asym", 16).to("cuda")
    x, bias = normal(3, 48).cuda().requires_grad_(), normal(10).cuda().requires_grad_()
    torch.library.opcheck(torch.ops.fairopt.quantized_linear.default, (x, *weight[:3], bias, "int4_asym", 16))
    grads = torch.autograd.grad(weight.linear(x, bias).sum(), (x, bias))
    dense = torch.nn.functional.linear(x, weight.dense(48), bias)
    for got, want in zip(grads, torch.autograd.grad(dense.sum(), (x, bias)), strict=True):
        torch.testing.assert_close(got, want)


@pytest.mark.cuda
def test_refusals_of_devices() -> None:
    weight = quantized(normal(4, 32))
    x = normal(2, 32)
    for call, message in [
        (lambda: weight.linear(x.cuda()), "quantized_linear: codes must be on cuda:0 like x, got cpu"),
        (
            lambda: weight.to("cuda").linear(x.double().cuda()),
            "quantized_linear: x must be float32, float16 or bfloat16, got float64",
        ),
        (
            lambda: ops.quantized_linear(x.cuda(), *weight.to("cuda")[:3], None, "nf4", 32, "a24"),
            "quantized_linear: mode must be one of exact for this format and device, got a24",
        ),
        (
            lambda: ops.prune_mask(x.cuda(), 1, torch.ones(32)),
            "prune_mask: norms must be on cuda:0 like score, got cpu",
        ),
        (
            lambda: ops.prune_mask_model([x.cuda(), x], 1),
            "prune_mask_model: scores[1] must be on cuda:0 like scores[0], got cpu",
        ),
    ]:
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            call()
