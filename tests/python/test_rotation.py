"""The folded Hadamard rotation: what the model computes stays, outliers go, what cannot be rotated is refused."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from decoder_blocks import model_of
from torch import nn

import fairopt as fo
from fairopt.compress.calibration import Calibration
from fairopt.compress.layers import dense_weight, linear_layers
from fairopt.compress.plan import plan
from fairopt.compress.recipe_text import parse
from fairopt.compress.rotation import rotated
from fairopt.errors import InputError

IDS = torch.randint(3, 96, (2, 32), generator=torch.Generator().manual_seed(0))


def rotate(model: nn.Module, seed: int = 0) -> nn.Module:
    return rotated(model, plan(model, parse("hadamard+int4:g=32")), seed)


@torch.no_grad()
def logits(model: nn.Module) -> torch.Tensor:
    values: torch.Tensor = model(IDS, use_cache=False).logits
    return values


@pytest.mark.parametrize("family", ["llama", "mistral", "phi3", "qwen2", "qwen3"])
@pytest.mark.parametrize("tied", [False, True])
def test_computes_the_same(family: str, tied: bool) -> None:
    model = model_of(family, tie_word_embeddings=tied)
    before = copy.deepcopy(model.state_dict())
    result = rotate(model)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert result.config.tie_word_embeddings is False  # type: ignore[union-attr]
    weight = next(iter(linear_layers(model)))
    assert not torch.equal(dict(result.named_parameters())[f"{weight}.weight"], before[f"{weight}.weight"])
    # What fp32 does to the model as it is, measured against float64, bounds what it may do to another order of sums: a
    # rotation adds log2(64) = 6 roundings to the weights, each model has its own.
    exact = logits(copy.deepcopy(model).double())
    noise = float((logits(model) - exact).abs().max())
    assert float((logits(result) - exact).abs().max()) < 16 * noise


def test_planted_outliers_cost_less_after_rotation() -> None:
    model = model_of("llama")
    for name, layer in linear_layers(model).items():
        if name.endswith(("q_proj", "k_proj", "v_proj", "gate_proj", "up_proj")):
            dense_weight(layer)[:, [5, 17, 50]] *= 20
    dense = logits(model)
    plain, turned = (logits(fo.compress(model, recipe)) for recipe in ("int4:g=32", "hadamard+int4:g=32"))
    assert (turned - dense).square().mean() < 0.8 * (plain - dense).square().mean()


def test_is_deterministic_and_saves(tmp_path: object) -> None:
    model = model_of("llama", tie_word_embeddings=True)
    first, second = (fo.compress(model, "hadamard+int4:g=32", seed=3) for _ in range(2))
    assert torch.equal(logits(first), logits(second))
    assert not torch.equal(logits(first), logits(fo.compress(model, "hadamard+int4:g=32", seed=4)))
    fo.save(first, f"{tmp_path}/model")
    assert torch.equal(logits(fo.load(f"{tmp_path}/model")), logits(first))


def test_goes_before_a_solver() -> None:
    model = model_of("qwen2")
    result = fo.compress(model, "hadamard:awq:int4,g=32", calibration=Calibration.of(IDS, length=IDS.shape[1]))
    for layer in fo.record(result).layers.values():
        assert layer.solver is not None
        assert layer.solver["loss"] <= layer.solver["rtn_loss"]


def test_what_cannot_be_rotated_is_refused() -> None:
    with pytest.raises(InputError, match=r"hadamard: norms must be RMSNorm, .*got those of GPT2Block"):
        fo.compress(model_of("gpt2"), "hadamard+int4:g=32")
    with pytest.raises(InputError, match=r"hadamard:online must be before one format of a whole layer, .*awq"):
        fo.compress(model_of("llama"), "hadamard:online+awq:int4,g=32", calibration=[[1, 2, 3, 4]])


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_inputs_rotated_as_they_come_give_the_product_of_the_weight(name: str, tmp_path: Path) -> None:
    """And an input column that stands out costs the others less of the block's range."""
    model = model_of(name)
    for layer in linear_layers(model).values():
        dense_weight(layer)[:, 3] *= 30
    turned, plain = fo.compress(model, "hadamard:online+int4:row"), fo.compress(model, "int4:row")
    quantized = {n: layer for n, layer in turned.named_modules() if isinstance(layer, fo.nn.QuantizedLinear)}
    for name_of, layer in quantized.items():
        x = torch.randn(5, layer.in_features, generator=torch.Generator().manual_seed(0))
        expected = x @ layer.dense_weight().T
        with torch.no_grad():
            found = layer(x) - (0 if layer.bias is None else layer.bias)
        # Two transforms and one product in fp32, each over K terms, against one product.
        assert float((found - expected).norm() / expected.norm()) < 1e-5
        weight = dense_weight(model.get_submodule(name_of))
        other = plain.get_submodule(name_of).dense_weight()
        assert (layer.dense_weight() - weight).norm() < (other - weight).norm()
    fo.save(turned, tmp_path / "model")
    assert torch.equal(logits(fo.load(tmp_path / "model")), logits(turned))
    with pytest.raises(InputError, match="layers must be of inputs as they come, got rotated ones"):
        fo.export(turned, tmp_path / "gptq", "gptq")


def test_gptq_solves_in_the_rotated_inputs() -> None:
    model = model_of("llama")
    tokens = [torch.randint(0, 60, (48,), generator=torch.Generator().manual_seed(i)).tolist() for i in range(12)]
    result = fo.compress(model, "hadamard:online+gptq:int4,g=32", calibration=tokens)
    for layer in fo.record(result).layers.values():
        assert layer.solver is not None
        assert layer.solver["loss"] < layer.solver["rtn_loss"]
