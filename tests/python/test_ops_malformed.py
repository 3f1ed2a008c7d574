"""Operators asked for nonsense: a ValueError that names the operator, or a result of the promised shape."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from quantized import normal

from fairopt import ops
from fairopt.formats import FORMATS

DTYPES = [torch.float32, torch.float16, torch.float64, torch.uint8, torch.int8, torch.int64, torch.bool]
ANY_BLOCK = st.sampled_from([16, 32, 48, 2**30]) | st.sampled_from([0, -16, 8, 24, 2**30 + 16, 2**62, -(2**62)])
ANY_COLS = st.integers(0, 100) | st.sampled_from([-1, -(2**62), 2**31, 2**62, 2**63 - 1])
ANY_FORMAT = st.sampled_from(FORMATS) | st.text(max_size=8)
ANY_TENSOR = st.builds(
    lambda sizes, dtype, step: torch.zeros([2 * size for size in sizes]).to(dtype)[
        tuple(slice(None, None, step) for _ in sizes)
    ],
    st.lists(st.integers(0, 9), max_size=3),
    st.sampled_from(DTYPES),
    st.sampled_from([1, 2]),
)


def attempt(op: str, call: Callable[[], object]) -> object:
    try:
        return call()
    except ValueError as error:
        message = str(error)
    assert message.startswith(f"{op}: "), message
    return None


def stored(data: st.DataObject) -> tuple[list[torch.Tensor], str, int, int]:
    """What quantize_blockwise returned, with any of its parts exchanged for something else."""
    format, cols, block = (
        data.draw(st.sampled_from(FORMATS)),
        data.draw(st.integers(0, 70)),
        data.draw(st.sampled_from([16, 64])),
    )
    parts = list(ops.quantize_blockwise(normal(data.draw(st.integers(0, 5)), cols), format, block))
    for i in data.draw(st.sets(st.integers(0, 2))):
        parts[i] = data.draw(ANY_TENSOR)
    if data.draw(st.booleans()):
        format, block, cols = data.draw(ANY_FORMAT), data.draw(ANY_BLOCK), data.draw(ANY_COLS)
    return parts, format, block, cols


@given(x=ANY_TENSOR, format=ANY_FORMAT, block=ANY_BLOCK)
@settings(max_examples=150, deadline=None)
def test_quantize_blockwise(x, format, block):
    result = attempt("quantize_blockwise", lambda: ops.quantize_blockwise(x, format, block))
    if result is not None:
        assert result[0].shape[:-1] == x.shape[:-1]
        assert (
            attempt("dequantize_blockwise", lambda: ops.dequantize_blockwise(*result, format, block, x.shape[-1])).shape
            == x.shape
        )


@given(data=st.data(), dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.int32]))
@settings(max_examples=150, deadline=None)
def test_dequantize_blockwise(data, dtype):
    parts, format, block, cols = stored(data)
    result = attempt("dequantize_blockwise", lambda: ops.dequantize_blockwise(*parts, format, block, cols, dtype))
    assert result is None or (result.shape == (*parts[0].shape[:-1], cols) and result.dtype == dtype)


@given(data=st.data(), x=ANY_TENSOR, bias=st.none() | ANY_TENSOR, fitting=st.booleans())
@settings(max_examples=150, deadline=None)
def test_quantized_linear(data, x, bias, fitting):
    parts, format, block, cols = stored(data)
    if fitting and 0 <= cols <= 100:
        x = normal(3, cols)
    result = attempt("quantized_linear", lambda: ops.quantized_linear(x, *parts, bias, format, block))
    assert result is None or result.shape == (*x.shape[:-1], parts[0].shape[0])


@given(parts=st.tuples(ANY_TENSOR, ANY_TENSOR, ANY_TENSOR))
@settings(max_examples=100, deadline=None)
def test_double_quantisation(parts):
    result = attempt("double_dequantize", lambda: ops.double_dequantize(*parts))
    assert result is None or result.shape == parts[0].shape
    nested = attempt("double_quantize", lambda: ops.double_quantize(parts[0]))
    assert nested is None or nested[0].shape == parts[0].shape


@pytest.mark.parametrize("cols", [2**60, 2**63 - 1])
def test_columns_that_no_memory_holds_are_refused_even_without_rows(cols):
    none = [torch.empty(0, 0, dtype=torch.uint8), torch.empty(0, 0), torch.empty(0, dtype=torch.uint8)]
    with pytest.raises(ValueError, match=r"shape must have at most 2\^60 values|codes must be"):
        ops.dequantize_blockwise(*none, "nf4", 16, cols)
