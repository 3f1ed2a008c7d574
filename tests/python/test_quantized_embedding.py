"""A table of embeddings that stays quantised: the rows of the dense table, states, types, refusals."""

from __future__ import annotations

import copy

import pytest
import torch
from quantized import normal
from torch import nn

from fairopt.errors import InputError
from fairopt.formats import FORMATS
from fairopt.nn import QuantizedEmbedding

IDS = torch.tensor([[3, 0, 3], [17, 5, 16]])


def embedding(rows: int = 18, cols: int = 40, **options) -> nn.Embedding:
    return nn.Embedding(rows, cols, _weight=normal(rows, cols, seed=1), **options)


@pytest.mark.parametrize("format", FORMATS)
def test_rows_are_those_of_the_dense_table(format: str) -> None:
    table = QuantizedEmbedding.from_embedding(embedding(), format, 16, pad=True)
    out = table(IDS)
    assert out.shape == (2, 3, 40)
    assert torch.equal(out, table.dense_weight()[IDS])
    assert torch.equal(out, table.to_embedding()(IDS))
    assert torch.equal(table(IDS.int()), out)
    assert table(torch.empty(0, dtype=torch.int64)).shape == (0, 40)


def test_types_follow_the_module_and_buffers_do_not() -> None:
    table = QuantizedEmbedding.from_embedding(embedding(), "int4_asym_float", 48, pad=True)
    half = copy.deepcopy(table).to(torch.bfloat16)
    assert [b.dtype for b in half.buffers()] == [b.dtype for b in table.buffers()]
    assert torch.equal(half(IDS), table.dense_weight(torch.bfloat16)[IDS])
    assert table(IDS).dtype == torch.float32
    from_half = QuantizedEmbedding.from_embedding(embedding().half(), "nf4", 16, pad=True)
    assert from_half(IDS).dtype == torch.float16


def test_state_dict_is_strict_and_makes_the_same_table() -> None:
    table = QuantizedEmbedding.from_embedding(embedding(padding_idx=2), "int3_asym", 16, pad=True)
    empty = QuantizedEmbedding(18, 40, 2, **table.options())
    empty.load_state_dict(table.state_dict(), strict=True)
    assert torch.equal(empty(IDS), table(IDS))
    assert empty.padding_idx == table.padding_idx == 2
    with pytest.raises(RuntimeError, match="size mismatch"):
        QuantizedEmbedding(19, 40, **table.options()).load_state_dict(table.state_dict())


def test_no_gradient_reaches_the_table_and_compile_sees_one_graph() -> None:
    table = QuantizedEmbedding.from_embedding(embedding(), "nf4", 16, pad=True)
    assert list(table.parameters()) == []
    assert not table(IDS).requires_grad
    compiled = torch.compile(table, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(IDS), table(IDS))


def test_size_and_text() -> None:
    table = QuantizedEmbedding.from_embedding(embedding(10, 64), "nf4", 64)
    assert table.bits_per_weight == 4.5
    assert table.stored_bytes == 10 * (32 + 4)
    assert str(table) == "QuantizedEmbedding(10, 64, format=nf4, block=64, bits_per_weight=4.5)"


def test_refusals() -> None:
    with pytest.raises(InputError, match=r"QuantizedEmbedding: max_norm must be None, got 1.0"):
        QuantizedEmbedding.from_embedding(embedding(max_norm=1.0), "nf4", 16)
    with pytest.raises(InputError, match="block must divide embedding_dim = 40 unless pad is set, got 16"):
        QuantizedEmbedding.from_embedding(embedding(), "nf4", 16)
    table = QuantizedEmbedding.from_embedding(embedding(), "nf4", 16, pad=True)
    for bad in (-1, 18):
        with pytest.raises(IndexError):
            table(torch.tensor([bad]))
