"""Recipes that round activations: w8a8 and llm_int8 through compress, the disk, transformers' door and an audit."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from random_models import gpt2, llama, save, tokenizer
from torch import nn

import fairopt
from fairopt.errors import InputError
from fairopt.models.loading import hash_weights
from fairopt.models.loglikelihood import loglikelihood
from fairopt.nn import DynamicInt8Linear, LlmInt8Linear

IDS = torch.arange(3, 43)[None]
RECIPES = [("w8a8", DynamicInt8Linear), ("llm_int8", LlmInt8Linear), ("llm_int8:threshold=2.5", LlmInt8Linear)]


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(IDS).logits
    return found


@pytest.mark.parametrize("make", [llama, gpt2])
@pytest.mark.parametrize(("recipe", "kind"), RECIPES)
def test_layers_are_swapped_and_compute_with_rounded_activations(make: Any, recipe: str, kind: type) -> None:
    model = make()
    compressed = fairopt.compress(model, recipe)
    layers = {name: layer for name, layer in compressed.named_modules() if isinstance(layer, DynamicInt8Linear)}
    assert set(layers) == set(fairopt.record(compressed).layers)
    assert all(type(layer) is kind for layer in layers.values())
    assert type(compressed.get_output_embeddings()) is nn.Linear
    base, int8 = logits(model), logits(fairopt.compress(model, "int8:g=16"))
    error = float((logits(compressed) - base).square().mean().sqrt())
    assert error > 0
    # Both the weights and the inputs are off by half a step of 1/127 of the largest in a row; finer groups are better.
    assert error > float((int8 - base).square().mean().sqrt())
    assert error < 0.1 * float(base.square().mean().sqrt())


def test_the_record_counts_bits() -> None:
    record = fairopt.record(fairopt.compress(llama(), "w8a8"))
    k = {32: 8 + 32 / 32, 64: 8 + 32 / 64}
    assert all(layer.bits_per_weight == k[layer.shape[1]] for layer in record.layers.values())


@pytest.mark.parametrize(("recipe", "kind"), RECIPES)
def test_they_survive_copies_and_the_disk(recipe: str, kind: type, tmp_path: Path) -> None:
    model = fairopt.compress(llama(), recipe)
    expected = logits(model)
    assert torch.equal(logits(copy.deepcopy(model)), expected)
    fairopt.save(model, tmp_path / "saved")
    loaded = fairopt.load(tmp_path / "saved")
    assert torch.equal(logits(loaded), expected)
    assert hash_weights(loaded) == hash_weights(model)
    stored = json.loads((tmp_path / "saved" / "config.json").read_text())["quantization_config"]["layers"]
    threshold = {} if kind is DynamicInt8Linear else {"threshold": 2.5 if "2.5" in recipe else 6.0}
    assert all(layer == {"class": kind.__name__, **threshold} for layer in stored.values())


def test_models_that_differ_in_the_threshold_alone_have_other_hashes() -> None:
    hashes = {hash_weights(fairopt.compress(llama(), recipe)) for recipe, _ in RECIPES}
    assert len(hashes) == len(RECIPES)


@pytest.mark.parametrize("recipe", ["w8a8", "llm_int8", "kv2:group=16,residual=0", "w8a8+kv2:group=16,residual=0"])
def test_from_pretrained_of_transformers_quantises_and_loads(recipe: str, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    import fairopt.hf

    dense = save(llama(), tmp_path / "dense")
    expected = fairopt.compress(llama(), recipe)
    config = fairopt.hf.FairoptConfig(recipe)
    quantised = AutoModelForCausalLM.from_pretrained(dense, quantization_config=config)
    assert torch.equal(logits(quantised), logits(expected))
    fairopt.save(expected, tmp_path / "saved")
    assert torch.equal(logits(AutoModelForCausalLM.from_pretrained(tmp_path / "saved")), logits(expected))


def test_smoothquant_moves_outliers_into_the_weights() -> None:
    model = llama()
    for norm in (module for name, module in model.named_modules() if name.endswith("layernorm")):
        norm.weight.data[::7] *= 30  # a few channels are far larger than the others
    tok = tokenizer()
    texts = ["the cat sat on the mat", "in the beginning there was a dog", "no dog, no cat"] * 4
    base = logits(model)
    plain = fairopt.compress(model, "w8a8")
    smooth = fairopt.compress(model, "smoothquant:w8a8", calibration=texts, tokenizer=tok)
    kinds = {type(layer) for _, layer in smooth.named_modules() if isinstance(layer, DynamicInt8Linear)}
    assert kinds == {DynamicInt8Linear}
    assert float((logits(smooth) - base).square().mean()) < float((logits(plain) - base).square().mean())


def test_scores_hardly_move_and_are_the_same_in_any_batch() -> None:
    model, tok = llama(), tokenizer()
    requests = [("the cat", " sat"), ("the dog", " sat here"), ("in the", " hat")]
    compressed = fairopt.compress(model, "w8a8")
    together = loglikelihood(compressed, tok, requests).ll
    assert 0 < abs(together - loglikelihood(model, tok, requests).ll).max() < 0.5


def test_override_and_keep() -> None:
    model = fairopt.compress(llama(), "w8a8;*.down_proj=llm_int8;*.up_proj=int8:g=32;keep=*.layers.0.*")
    layer = model.model.layers[1].mlp
    assert type(layer.gate_proj) is DynamicInt8Linear
    assert type(layer.down_proj) is LlmInt8Linear
    assert type(model.model.layers[0].mlp.down_proj) is nn.Linear
    with pytest.raises(InputError, match="at most one quantiser"):
        fairopt.compress(llama(), "w8a8+int8")
