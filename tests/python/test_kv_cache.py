"""Recipes that quantise keys and values: every way of asking the model sees it, and it survives copying and saving."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from random_models import gpt2, llama, tokenizer
from test_loglikelihood import REQUESTS
from transformers import BertConfig, BertForMaskedLM, DynamicCache, MistralConfig, MistralForCausalLM, StaticCache

import fairopt
from fairopt.errors import InputError
from fairopt.models.embed import embed
from fairopt.models.engine import engine
from fairopt.models.generate import GenerateOptions, generate
from fairopt.models.loading import hash_weights, load_model
from fairopt.models.loglikelihood import ScoreOptions, describe, loglikelihood
from fairopt.nn import QuantizedCache
from fairopt.nn.attached_cache import CacheOptions, attached_cache

IDS = torch.arange(3, 63)[None]
KV2 = "kv2:group=16,residual=0"


def logits(model: Any, **kwargs: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(IDS, **kwargs).logits
    return found


@pytest.mark.parametrize("make", [llama, gpt2])
def test_every_forward_pass_uses_a_quantised_cache(make: Any) -> None:
    model = make()
    compressed = fairopt.compress(model, KV2)
    expected = logits(model, past_key_values=QuantizedCache(model.config, 2, 16, 0))
    assert not torch.equal(expected, logits(model))
    for kwargs in ({}, {"use_cache": False}, {"past_key_values": DynamicCache(config=model.config)}):
        assert torch.equal(logits(compressed, **kwargs), expected)
    assert attached_cache(model) is None
    assert attached_cache(compressed) == CacheOptions(2, 16, 0)


def test_a_cache_given_by_position_is_replaced_too() -> None:
    compressed = fairopt.compress(gpt2(), KV2)
    with torch.no_grad():
        found = compressed.transformer(IDS, DynamicCache(config=compressed.config)).last_hidden_state
        assert torch.equal(found, compressed.transformer(IDS).last_hidden_state)


def test_an_empty_dynamic_cache_becomes_the_quantised_one() -> None:
    compressed = fairopt.compress(llama(), KV2)
    for cache in (DynamicCache(), DynamicCache(config=compressed.config)):
        with torch.no_grad():
            compressed(IDS[:, :40], past_key_values=cache)
            last = compressed(IDS[:, 40:], past_key_values=cache).logits
        assert cache.get_seq_length() == 60
        again = QuantizedCache(compressed.config, 2, 16, 0)
        with torch.no_grad():
            compressed(IDS[:, :40], past_key_values=again)
            assert torch.equal(compressed(IDS[:, 40:], past_key_values=again).logits, last)


def test_other_caches_are_refused() -> None:
    model = llama()
    compressed = fairopt.compress(model, KV2)
    filled = DynamicCache(config=model.config)
    logits(model, past_key_values=filled)
    message = "LlamaModel: past_key_values must be a QuantizedCache or an empty DynamicCache"
    with pytest.raises(InputError, match=f"{message}.* got DynamicCache of 60 tokens"):
        logits(compressed, past_key_values=filled)
    with pytest.raises(InputError, match=f"{message}.* got StaticCache"):
        logits(compressed, past_key_values=StaticCache(config=model.config, max_cache_len=80))


def test_generate_of_transformers_uses_it() -> None:
    model = llama()
    compressed = fairopt.compress(model, "kv4:group=16,residual=16")
    options: dict[str, Any] = {"max_new_tokens": 30, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    for more in ({}, {"num_beams": 3}, {"assistant_model": llama(1)}):
        expected = model.generate(IDS, past_key_values=QuantizedCache(model.config, 4, 16, 16), **options, **more)
        assert torch.equal(compressed.generate(IDS, **options, **more), expected)


def test_scores_change_and_converge_to_those_of_the_base_as_bits_grow() -> None:
    model, tok = llama(), tokenizer()
    texts = [(context * 3, continuation) for context, continuation in REQUESTS[:12]]
    base = loglikelihood(model, tok, texts).ll
    errors = [
        np.abs(loglikelihood(fairopt.compress(model, f"kv{bits}:group=16,residual=0"), tok, texts).ll - base).mean()
        for bits in (2, 3, 4, 8)
    ]
    # To first order a score moves with the step, which is 17 times as long for 4 bits as for 8; 2 and 3 bits are
    # beyond first order in this model, whose random weights are large.
    assert min(errors[:2]) > errors[2]
    assert errors[2] > 8 * errors[3] > 0


def test_a_score_does_not_depend_on_the_other_requests() -> None:
    model, tok = fairopt.compress(llama(), "kv2:group=16,residual=16"), tokenizer()
    texts = [("a" * 20 + " the cat", " sat here"), *REQUESTS]
    together = loglikelihood(model, tok, texts, ScoreOptions(token_budget=10**6)).ll
    alone = [loglikelihood(model, tok, [text]).ll[0] for text in texts]
    # The bound of fairopt.models.loglikelihood for 2 layers; codes at the edge of rounding would show as far more.
    np.testing.assert_allclose(together, alone, rtol=0, atol=4e-5)


def test_the_trie_refuses_and_says_why() -> None:
    model = fairopt.compress(llama(), "kv4")
    found = engine(model)
    assert found.mode == "padded batches"
    assert found.why == "keys and values are quantised: 4 bits, groups of 64, 128 tokens left as they are"
    # What runs are compared by is how the model without the cache is read: the cache is what is compared.
    assert describe(model, tokenizer()) == describe(llama(), tokenizer())
    assert engine(model) == found
    assert hash_weights(model) != hash_weights(llama())


def test_generated_texts_do_not_depend_on_the_batch() -> None:
    model, tok = fairopt.compress(llama(), "kv2:group=16,residual=16"), tokenizer()
    prompts = ["the cat sat on the mat", "a dog", "the dog sat on the hat", "in the beginning there was"]
    options = GenerateOptions(max_new_tokens=40)
    together = generate(model, tok, prompts, options)
    assert [generate(model, tok, [prompt], options)[0][0].ids for prompt in prompts] == [one[0].ids for one in together]
    samples = generate(model, tok, prompts, GenerateOptions(max_new_tokens=20, samples=3))
    assert [len(found) for found in samples] == [3] * 4


def test_embeddings_do_not_depend_on_the_batch() -> None:
    model, tok = fairopt.compress(llama(), "kv2:group=16,residual=0"), tokenizer()
    texts = ["the cat sat on the mat and stayed there", "a dog", "no dog"]
    together = embed(model, tok, texts).vectors
    base = embed(llama(), tok, texts).vectors
    for text, vector, dense in zip(texts, together, base, strict=True):
        alone = embed(model, tok, [text]).vectors[0]
        np.testing.assert_allclose(vector, alone, rtol=0, atol=1e-5 * float(np.abs(alone).max()))
        assert np.abs(vector - dense).max() > 1e-3


@pytest.mark.parametrize("recipe", ["kv4:group=16,residual=0", "int4:g=32+kv2:group=16,residual=0"])
def test_it_survives_copies_and_the_disk(recipe: str, tmp_path: Path) -> None:
    model = fairopt.compress(llama(), recipe)
    expected = logits(model)
    assert torch.equal(logits(copy.deepcopy(model)), expected)
    fairopt.save(model, tmp_path / "saved")
    stored = json.loads((tmp_path / "saved" / "config.json").read_text())["quantization_config"]
    bits = 4 if recipe.startswith("kv4") else 2
    assert stored["kv_cache"] == {"bits": bits, "group": 16, "residual": 0}
    loaded = fairopt.load(tmp_path / "saved")
    assert torch.equal(logits(loaded), expected)
    assert fairopt.record(loaded).recipe == recipe


@pytest.mark.parametrize(
    "described", [{"bits": 4}, {"bits": 5, "group": 64, "residual": 0}, {"bits": "4", "group": 64, "residual": 0}, 7]
)
def test_a_wrong_entry_in_the_configuration_is_an_error(described: Any, tmp_path: Path) -> None:
    fairopt.save(fairopt.compress(llama(), "kv4"), tmp_path / "saved")
    config = tmp_path / "saved" / "config.json"
    data = json.loads(config.read_text())
    data["quantization_config"]["kv_cache"] = described
    config.write_text(json.dumps(data))
    with pytest.raises(InputError, match="kv"):
        fairopt.load(tmp_path / "saved")


def test_the_record_counts_scales_and_minima() -> None:
    model = llama(hidden=128)  # heads of 32
    record = fairopt.record(fairopt.compress(model, "kv4:group=32,residual=0"))
    assert record.kv_bits_per_value == 4 + 2 * 32 / 32
    assert record.layers == {}
    assert record.bytes == record.dense_bytes
    assert str(record) == (
        f"kv4:group=32,residual=0: 6 bits per key and value; {record.bytes:,} bytes, {record.bytes:,} before"
    )
    half = fairopt.record(fairopt.compress(model.to(torch.bfloat16), "kv4:group=32,residual=0"))
    assert half.kv_bits_per_value == 4 + 2 * 16 / 32
    cache = QuantizedCache(model.config, 4, 32, 0)
    with torch.no_grad():
        model(IDS[:, :32].repeat(2, 1), past_key_values=cache)
    assert cache.bits_per_value == half.kv_bits_per_value
    assert fairopt.record(fairopt.compress(llama(), "int8:g=32")).kv_bits_per_value is None


def test_models_without_such_a_cache_are_refused_before_anything_is_computed() -> None:
    tiny = {"vocab_size": 96, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    bert = BertForMaskedLM(BertConfig(intermediate_size=64, **tiny))
    mistral = MistralForCausalLM(MistralConfig(intermediate_size=64, num_key_value_heads=2, sliding_window=128, **tiny))
    with pytest.raises(InputError, match="decoder with a key-value cache, got BertForMaskedLM"):
        fairopt.compress(bert, "kv4")
    with pytest.raises(InputError, match="got a sliding window of 128 tokens"):
        fairopt.compress(mistral, "int4+kv4")
    with pytest.raises(InputError, match="decoder with a key-value cache, got Linear"):
        fairopt.compress(torch.nn.Linear(32, 32), "kv4")


def test_an_audit_sees_it(tmp_path: Path) -> None:
    run = fairopt.audit(
        "phantom", [KV2, "kv8:group=16,residual=0", "kv4"], benchmarks=["phantom_pairs"], out=tmp_path / "run", limit=20
    )
    table = run.items("phantom_pairs").to_pandas().set_index("variant")
    base = table.loc["base", "ll_a"].to_numpy()
    moved = {name: np.abs(table.loc[name, "ll_a"].to_numpy() - base).mean() for name in table.index.unique()}
    assert moved[KV2] > 8 * moved["kv8:group=16,residual=0"] > 0
    assert moved["kv4"] < 4e-5  # its texts are shorter than the 128 tokens that stay as they are: rounding alone
    assert [np.isnan(variant.bits_per_weight) for variant in run.result.variants] == [True] * 3
    caveat = (
        "kv4 leaves keys and values of the last 128 tokens as they are: texts of fewer than 128 tokens cannot show "
        "what it does to longer ones."
    )
    assert [text for text in run.result.caveats if "keys and values" in text] == [caveat]


def test_a_saved_model_is_audited_like_its_recipe(tmp_path: Path) -> None:
    base = load_model("phantom")
    fairopt.save(fairopt.compress(base.model, KV2), tmp_path / "saved", base.tokenizer)
    run = fairopt.audit(
        "phantom", [KV2], models=[tmp_path / "saved"], benchmarks=["phantom_pairs"], out=tmp_path / "run", limit=4
    )
    first, second = run.result.variants
    assert first.weights_hash == second.weights_hash != run.result.base_weights_hash
