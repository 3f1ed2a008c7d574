"""The table of couplings: removing units computes what setting them to zero does, for every family."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from structured_models import FAMILIES, IDS, MOE, family
from torch import nn

from fairopt.compress.architectures import LAYOUTS
from fairopt.compress.structure import families
from fairopt.compress.structure.dimensions import Dimensions
from fairopt.compress.structure.prove import prove
from fairopt.errors import InputError


@pytest.mark.parametrize("name", FAMILIES)
def test_removed_equals_set_to_zero(name: str) -> None:
    found = prove(family(name), IDS)
    assert found.keys() == {"layers", "hidden", "heads", "ffn", *(["experts"] if name in MOE else [])}
    assert max(found.values()) < 1e-5


def _with_axes(monkeypatch: pytest.MonkeyPatch, block: str, **axes: str) -> None:
    row = families.FAMILIES[block]
    changed = {name.replace("__", "."): text for name, text in axes.items()}
    monkeypatch.setitem(families.FAMILIES, block, dataclasses.replace(row, block={**row.block, **changed}))


def test_a_fused_layer_read_in_the_wrong_order_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    _with_axes(monkeypatch, "GPTNeoXLayer", attention__query_key_value="heads+heads+heads hidden")
    with pytest.raises(InputError, match="prove: heads of GPTNeoXForCausalLM must compute the same"):
        prove(family("gpt_neox"), IDS)


def test_an_axis_of_another_length_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    _with_axes(monkeypatch, "Phi3DecoderLayer", mlp__gate_up_proj="ffn hidden")
    with pytest.raises(InputError, match="the table must fit the tensors, got 128 positions for 256 ffn along ffn"):
        prove(family("phi3"), IDS)


def test_a_tensor_that_the_table_forgot_does_not_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    _with_axes(monkeypatch, "LlamaDecoderLayer", mlp__up_proj="neurons hidden")
    with pytest.raises(RuntimeError, match="size"):
        prove(family("llama"), IDS)


def test_both_tables_say_the_same_of_a_block() -> None:
    """``architectures`` says who reads which norm; the axes must agree."""
    for block, layout in LAYOUTS.items():
        row = families.FAMILIES[block].block
        for fold in layout.norms:
            assert row[fold.source] == "hidden", (block, fold)
            assert all(row[name].endswith(" hidden") for name in fold.layers), (block, fold)


def test_a_family_without_a_row_is_named_and_the_way_to_add_it_said() -> None:
    from masked_models import other

    with pytest.raises(InputError, match=r"got ElectraLayer \(to add it, write its row.*docs/architectures.md"):
        Dimensions(other("electra"))


def test_an_unknown_parameter_is_named() -> None:
    model: Any = family("llama")
    model.model.layers[1].mlp.register_parameter("extra", nn.Parameter(torch.zeros(3)))
    with pytest.raises(InputError, match=r"a LlamaDecoderLayer, got 'model.layers.1.mlp.extra' \[3\]"):
        Dimensions(model)


def test_a_module_that_is_no_transformers_model_is_refused() -> None:
    with pytest.raises(InputError, match="must be a transformers model, got Sequential"):
        Dimensions(nn.Sequential(nn.Linear(2, 2)))
