"""The recipe step ``sparse``: what is stored, what the record says, and every way back from disk."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_models import gpt2, llama, logits
from torch import nn

import fairopt as fo
import fairopt.hf
from fairopt.compress import on_disk
from fairopt.compress.recipe_text import parse
from fairopt.compress.sparse_options import Sparse
from fairopt.errors import InputError
from fairopt.models.loading import hash_weights

MODELS: dict[str, Callable[[], nn.Module]] = {
    "llama": llama,
    "bfloat16": lambda: llama(dtype=torch.bfloat16),
    "gpt2": gpt2,
}


def calibration() -> list[torch.Tensor]:
    return list(torch.randint(64, (32, 32), generator=torch.Generator().manual_seed(0)))


@pytest.mark.parametrize("text", ["sparse", "wanda:2:4+sparse", "sparse:bf16", "magnitude:0.5+sparse:int8"])
def test_the_text_is_canonical(text: str) -> None:
    chain = parse(text).chain
    assert chain is not None
    assert str(chain) == text
    assert isinstance(chain.quantizer, Sparse)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sparse:int4", "sparse option must be one of bf16, fp16, fp32, int8, got 'int4' at column 8"),
        ("sparse:bf16,fp16", "sparse option must be given once, got 'fp16'"),
        ("sparse+int4", "chain must have at most one quantiser, as its last step"),
    ],
)
def test_refusals(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse(text)
    with pytest.raises(InputError, match="sparse values must be one of fp32, fp16, bf16, int8, got 'fp8'"):
        Sparse("fp8")


@pytest.mark.parametrize("recipe", ["magnitude:0.5", "magnitude:2:4", "random:0.7", "wanda:0.5"])
@pytest.mark.parametrize("name", MODELS)
def test_the_model_is_that_of_the_mask_and_its_bytes_are_counted(name: str, recipe: str, tmp_path: Path) -> None:
    model: Any = MODELS[name]()
    before = {n: t.clone() for n, t in model.state_dict().items()}
    masked = fo.compress(model, recipe, calibration=calibration())
    sparse = fo.compress(model, f"{recipe}+sparse", calibration=calibration())
    assert all(torch.equal(tensor, before[n]) for n, tensor in model.state_dict().items())
    told, layers = fo.record(sparse), fo.record(masked).layers
    assert told.layers.keys() == layers.keys()
    for layer_name, layer in told.layers.items():
        stored, dense = sparse.get_submodule(layer_name), masked.get_submodule(layer_name)
        weight = dense.weight if isinstance(dense, nn.Linear) else dense.weight.t()
        assert stored.value_type == str(weight.dtype)[6:]
        assert torch.equal(stored.dense_weight(weight.dtype), weight)
        assert layer.bits_per_weight == stored.bits_per_weight
        assert layer.sparsity == layers[layer_name].sparsity
        assert (layer.zeros_stored, layers[layer_name].zeros_stored) == (False, True)
    assert "zeros are stored" not in str(told)
    assert "zeros are stored: no bytes saved" in str(fo.record(masked))
    assert told.bytes < told.dense_bytes
    fo.save(sparse, tmp_path)
    on_file = sum(tensor.nbytes for tensor in load_file(tmp_path / "model.safetensors").values())
    tied = {id(t): t for t in (*sparse.parameters(), *sparse.buffers())}  # what is not persistent is not stored
    assert on_file == told.bytes, len(tied)
    # Products in fp32, one rounding to the model's type: the sums of the two differ in their order.
    tolerance = {"rtol": 0.05, "atol": 0.05} if name == "bfloat16" else {"rtol": 1e-4, "atol": 1e-4}
    torch.testing.assert_close(logits(sparse), logits(masked), **tolerance)


@pytest.mark.parametrize("recipe", ["magnitude:0.5+sparse", "magnitude:2:4+sparse:bf16", "random:0.3+sparse:int8"])
@pytest.mark.parametrize("name", MODELS)
def test_every_way_back_gives_the_same_logits(name: str, recipe: str, tmp_path: Path) -> None:
    model: Any = MODELS[name]()
    sparse = fo.compress(model, recipe)
    expected = logits(sparse)
    fo.save(sparse, tmp_path / "saved")
    loaded = fo.load(tmp_path / "saved")
    assert fo.record(loaded).layers == fo.record(sparse).layers
    assert hash_weights(loaded) == hash_weights(sparse)
    model.save_pretrained(tmp_path / "dense")
    by_transformers = fairopt.hf.from_pretrained(tmp_path / "saved")
    while_loading = fairopt.hf.from_pretrained(tmp_path / "dense", quantization_config=fairopt.hf.FairoptConfig(recipe))
    on_disk.compress_folder(tmp_path / "dense", tmp_path / "shards", recipe)
    ways = [loaded, by_transformers, while_loading, fo.load(tmp_path / "shards"), copy.deepcopy(sparse)]
    for way in ways:
        assert all(layer.packed is not None for layer in way.modules() if isinstance(layer, fo.nn.SparseLinear))
        assert torch.equal(logits(way), expected)
    fo.save(loaded, tmp_path / "again")
    first, again = (load_file(tmp_path / name / "model.safetensors") for name in ("saved", "again"))
    assert first.keys() == again.keys()
    assert all(torch.equal(tensor, again[key]) for key, tensor in first.items())


def test_a_killed_compression_goes_on(tmp_path: Path) -> None:
    model = llama()
    recipe = "wanda:0.5+sparse"
    first = fo.compress(model, recipe, calibration=calibration(), resume=tmp_path)
    again = fo.compress(model, recipe, calibration=calibration(), resume=tmp_path)
    assert torch.equal(logits(again), logits(first))
    assert fo.record(again).layers == fo.record(first).layers


def test_embeddings_cannot_be_sparse() -> None:
    with pytest.raises(InputError, match="an embedding must be pruned by magnitude"):
        fo.compress(llama(), "model.embed_tokens=magnitude:0.5+sparse")


def test_merging_adapters_needs_a_dense_layer() -> None:
    linear = nn.Linear(40, 20)
    back = fo.nn.SparseLinear.from_linear(linear).pack().to_linear()
    assert torch.equal(back.weight, linear.weight)
