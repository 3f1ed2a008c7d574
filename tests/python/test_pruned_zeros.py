"""What is pruned stays exactly zero: in every number format, under every solver, on disk and in training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import random_models
import torch
from torch import nn

import fairopt as fo
from fairopt.compress.compress_layer import compress_layer
from fairopt.compress.recipe import QUANTIZERS
from fairopt.compress.recipe_text import parse
from fairopt.nn import StoredLayer

FORMATS = [
    f"{word}:{','.join(filter(None, (option, '' if word == 'fp8' else f'{entry.block_option}=32')))}".rstrip(":")
    for word, entry in QUANTIZERS.items()
    for option in entry.dialects
]


def shifted(rows: int = 48, k: int = 128) -> nn.Linear:
    """Groups of both signs, of one sign, and with nothing that is not pruned."""
    torch.manual_seed(0)
    layer = nn.Linear(k, rows)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(rows, k))
        layer.weight[: rows // 3] += 4
        layer.weight[rows // 3 : 2 * rows // 3] -= 4
        layer.weight[0, :32] = 0
    return layer


def zeros_of(weight: torch.Tensor) -> torch.Tensor:
    """Which of every four consecutive weights of a row are its two smallest."""
    runs = weight.abs().reshape(len(weight), -1, 4)
    small = runs.sort(dim=2, stable=True).indices[..., :2]
    return torch.zeros_like(runs, dtype=torch.bool).scatter_(2, small, True).reshape(weight.shape)


def dense(layer: nn.Module) -> torch.Tensor:
    assert isinstance(layer, StoredLayer)
    return layer.dense_weight()


def test_every_format_is_tried() -> None:
    assert len(FORMATS) == 25


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("more", ["", "dq", "int8=0.25"])
def test_what_is_pruned_stays_zero_in_every_format(format: str, more: str) -> None:
    if format == "fp8" and more.startswith("int8"):
        format = "fp8:g=32"  # a scale a row has no groups
    layer = shifted()
    text = format + (("," if ":" in format else ":") + more if more else "")
    chain = parse(f"magnitude:2:4+{text}").chain
    assert chain is not None
    made, notes = compress_layer(layer, chain, "layer")
    weight, gone = dense(made), zeros_of(layer.weight.detach())
    assert notes["kept"] == 0.5
    assert not weight[gone].any()
    # What is kept is still there: half a step of the coarsest of these formats, 2 bits, is half of the range.
    error = (weight - layer.weight.detach())[~gone].abs().max()
    assert float(error) <= 1.01 * float(layer.weight.detach().abs().max()) / (1 if "2" in format[:4] else 2)


@pytest.mark.parametrize("solver", ["mse", "gptq", "awq", "signround", "hqq"])
@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("dialect", ["sym", "asym", "asym_float", "tinygemm"])
def test_what_is_pruned_stays_zero_under_every_solver(solver: str, bits: int, dialect: str) -> None:
    if (dialect == "tinygemm" and bits != 4) or (solver == "hqq" and dialect != "asym_float"):
        return  # no such format
    torch.manual_seed(0)
    model = random_models.llama(window=32)
    ids = list(torch.randint(96, (4, 32), generator=torch.Generator().manual_seed(0)))
    more = ",steps=4" if solver == "signround" else ",grid=4" if solver == "awq" else ""
    double = "" if solver == "hqq" else ",dq"
    recipe = f"magnitude:2:4+{solver}:int{bits},{dialect},g=32{double}{more};keep=*.layers.1.*"
    small = fo.compress(model, recipe, calibration=ids)
    for name in fo.record(small).layers:
        gone = zeros_of(model.get_submodule(name).weight.detach())
        assert not dense(small.get_submodule(name))[gone].any(), name


@pytest.mark.parametrize("format", [*FORMATS, "gptq:int4,asym_float,g=32,act_order=dynamic", "gptq:int4,tinygemm,g=32"])
def test_what_sparsegpt_prunes_stays_zero_in_every_format(format: str) -> None:
    model = random_models.llama(window=32)
    ids = list(torch.randint(96, (4, 32), generator=torch.Generator().manual_seed(0)))
    small = fo.compress(model, f"sparsegpt:2:4+{format};keep=*.layers.1.*", calibration=ids)
    for name, layer in fo.record(small).layers.items():
        weight = dense(small.get_submodule(name))
        runs = (weight == 0).reshape(len(weight), -1, 4)
        assert (runs.sum(2) >= 2).all(), name
        assert layer.kept == 0.5


def test_w8a8_and_embeddings_keep_zeros() -> None:
    model = random_models.llama(window=32)
    for recipe in ("magnitude:2:4+w8a8", "magnitude:2:4+llm_int8"):
        small = fo.compress(model, recipe)
        assert all(layer.sparsity >= 0.5 for layer in fo.record(small).layers.values())
    table = fo.compress(model, "model.embed_tokens=magnitude:2:4+int4:g=32,asym_float")
    gone = zeros_of(model.model.embed_tokens.weight.detach())
    assert not dense(table.model.embed_tokens)[gone].any()


@pytest.mark.parametrize("recipe", ["wanda:2:4+int4:g=32,asym_float", "wanda:0.5+hqq:int3,g=32", "random:0.5"])
def test_zeros_survive_saving_and_loading(recipe: str, tmp_path: Path) -> None:
    model: Any = random_models.llama(window=32)
    ids = list(torch.randint(96, (4, 32), generator=torch.Generator().manual_seed(0)))
    small = fo.compress(model, recipe, calibration=ids)
    fo.save(small, tmp_path)
    loaded = fo.load(tmp_path)
    for name, layer in fo.record(loaded).layers.items():
        made = loaded.get_submodule(name)
        weight = made.weight if isinstance(made, nn.Linear) else dense(made)
        assert float((weight == 0).float().mean()) >= 0.5
        assert layer.kept == 0.5
        assert layer.zeros_stored
    assert "zeros are stored: no bytes saved" in str(fo.record(loaded))


# ---- in training ----


def trained(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int = 4) -> None:
    torch.manual_seed(1)
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.randn(8, 128)).square().mean().backward()
        optimizer.step()


def half_zero(rows: int = 48) -> nn.Linear:
    layer = shifted(rows)
    with torch.no_grad():
        layer.weight.masked_fill_(zeros_of(layer.weight), 0)
    return layer


OPTIMIZERS = [
    lambda parameters: torch.optim.AdamW(parameters, lr=0.1, weight_decay=0.1),
    lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
    lambda parameters: torch.optim.RMSprop(parameters, lr=0.1, momentum=0.9, centered=True),
]


@pytest.mark.parametrize("make", OPTIMIZERS, ids=["adamw", "sgd", "rmsprop"])
def test_a_masked_layer_keeps_its_zeros_in_training(make: Any) -> None:
    layer = half_zero()
    gone, before = layer.weight.detach() == 0, layer.weight.detach().clone()
    masked = fo.nn.masked(layer)
    assert masked is layer
    assert torch.equal(layer.weight, before)
    trained(layer, make(layer.parameters()))
    assert not layer.weight[gone].any()
    assert (layer.weight[~gone] != before[~gone]).all()
    fo.nn.unmasked(layer)
    assert type(layer) is nn.Linear
    assert not layer.weight[gone].any()
    assert sorted(layer.state_dict()) == ["bias", "weight"]


@pytest.mark.parametrize("make", OPTIMIZERS, ids=["adamw", "sgd", "rmsprop"])
def test_an_optimizer_keeps_zeros_of_plain_weights(make: Any) -> None:
    model = nn.Sequential(half_zero(128), nn.ReLU(), half_zero())
    gone = [model[i].weight.detach() == 0 for i in (0, 2)]
    model[0].bias.data.zero_()  # not a weight: it may learn
    optimizer = make(model.parameters())
    handle = fo.nn.keep_zeros(optimizer, model)
    trained(model, optimizer)
    assert not any(model[i].weight[mask].any() for i, mask in zip((0, 2), gone, strict=True))
    assert model[0].bias.any()
    handle.remove()
    trained(model, optimizer)
    assert model[2].weight[gone[1]].any()


def test_momentum_from_before_does_not_fill_zeros() -> None:
    layer = shifted()
    optimizer = OPTIMIZERS[1](layer.parameters())
    trained(layer, optimizer)
    gone = zeros_of(layer.weight.detach())
    with torch.no_grad():
        layer.weight.masked_fill_(gone, 0)
    fo.nn.keep_zeros(optimizer, layer)
    trained(layer, optimizer)
    assert not layer.weight[gone].any()


def test_a_masked_model_learns_saves_and_is_quantised_with_its_zeros(tmp_path: Path) -> None:
    model: Any = fo.compress(random_models.llama(window=32), "magnitude:2:4")
    gone = {name: model.get_submodule(name).weight.detach() == 0 for name in fo.record(model).layers}
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1)
    fo.nn.keep_zeros(optimizer, model)
    ids = torch.randint(96, (4, 32), generator=torch.Generator().manual_seed(0))
    for _ in range(3):
        optimizer.zero_grad()
        model(ids, labels=ids).loss.backward()
        optimizer.step()
    fo.save(model, tmp_path)
    loaded = fo.load(tmp_path)
    assert all(not loaded.get_submodule(name).weight[mask].any() for name, mask in gone.items())
    from transformers import AutoModelForCausalLM

    plain = AutoModelForCausalLM.from_pretrained(tmp_path, local_files_only=True)
    small = fo.compress(plain, "magnitude:2:4+int4:g=32,asym_float")
    assert all(not dense(small.get_submodule(name))[mask].any() for name, mask in gone.items())


def test_layers_without_zeros_are_refused() -> None:
    from fairopt.errors import InputError

    with pytest.raises(InputError, match="masked: layer must have weights that are zero, got none"):
        fo.nn.masked(nn.Linear(4, 4))
    with pytest.raises(InputError, match="masked: layer must have a parameter 'weight', got SparseLinear"):
        fo.nn.masked(fo.nn.SparseLinear.from_linear(nn.Linear(4, 4)))
    layer = nn.Linear(4, 4)
    with pytest.raises(InputError, match="keep_zeros: model must have weights that are zero and that the optimizer"):
        fo.nn.keep_zeros(torch.optim.SGD(layer.parameters()), layer)
