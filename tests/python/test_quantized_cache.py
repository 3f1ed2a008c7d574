"""The quantised key-value cache: what it stores, what it never does again, and generate() with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import random_models
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_kv_blocks import twin_row
from transformers import (
    AutoModelForCausalLM,
    DeepseekV3Config,
    DynamicCache,
    Gemma2Config,
    GPT2Config,
    LlamaConfig,
    MambaConfig,
    MistralConfig,
    OPTConfig,
    Qwen2Config,
    T5Config,
)

import fairopt
from fairopt.errors import InputError
from fairopt.nn import QuantizedCache
from fairopt.nn.quantized_cache import QuantizedCacheLayer

BITS = (2, 3, 4, 8)


# ---- a layer ----


def states(tokens: int, *, heads: int = 2, d: int = 20, batch: int = 2, seed: int = 0) -> tuple[torch.Tensor, ...]:
    random = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(batch, heads, tokens, d, generator=random) for _ in range(2))


def stored(layer: QuantizedCacheLayer) -> list[torch.Tensor]:
    keys, values = layer.quantized_keys, layer.quantized_values
    return [keys.codes, keys.scales, keys.minima, values.codes, values.scales, values.minima, layer.keys, layer.values]


def same(a: QuantizedCacheLayer, b: QuantizedCacheLayer) -> bool:
    return all(torch.equal(x, y) for x, y in zip(stored(a), stored(b), strict=True))


CONFIGS = st.sampled_from([(16, 0), (16, 16), (16, 48), (32, 32)])


@settings(max_examples=40)
@given(bits=st.sampled_from(BITS), config=CONFIGS, cuts=st.lists(st.integers(1, 40), min_size=1, max_size=8))
def test_what_is_stored_does_not_depend_on_how_many_tokens_come_at_a_time(
    bits: int, config: tuple[int, int], cuts: list[int]
) -> None:
    keys, values = states(sum(cuts))
    whole, parts = QuantizedCacheLayer(bits, *config), QuantizedCacheLayer(bits, *config)
    seen = whole.update(keys, values)
    for k, v in zip(keys.split(cuts, -2), values.split(cuts, -2), strict=True):
        last = parts.update(k, v)
    assert same(whole, parts)
    assert all(torch.equal(a, b) for a, b in zip(seen, last, strict=True))


@pytest.mark.parametrize("bits", BITS)
def test_one_forward_pass_stores_what_token_by_token_stores(bits: int) -> None:
    keys, values = states(75)
    whole, steps = QuantizedCacheLayer(bits, 16, 32), QuantizedCacheLayer(bits, 16, 32)
    whole.update(keys, values)
    for t in range(75):
        steps.update(keys[..., t : t + 1, :], values[..., t : t + 1, :])
    assert same(whole, steps)
    assert whole.keys.shape[-2] == 75 % 32
    assert whole.values.shape[-2] == 32


@pytest.mark.parametrize(("group", "residual"), [(16, 0), (16, 32), (32, 32)])
def test_codes_once_stored_never_change(group: int, residual: int) -> None:
    keys, values = states(150, d=24)
    layer = QuantizedCacheLayer(3, group, residual)
    before: list[torch.Tensor] | None = None
    for t in range(150):
        layer.update(keys[..., t : t + 1, :], values[..., t : t + 1, :])
        now = [tensor.clone() for tensor in stored(layer)[:6]]
        for old, new in zip(before or [], now, strict=before is not None):
            along = tuple(slice(size) for size in old.shape)
            assert torch.equal(new[along], old)
        before = now
    assert layer.get_seq_length() == 150


def test_keys_are_grouped_along_tokens_and_values_along_channels() -> None:
    keys, values = states(64, d=20)
    layer = QuantizedCacheLayer(4, 16, 0)
    seen_keys, seen_values = layer.update(keys, values)
    expected = [twin_row(row.numpy(), 4, 16)[3] for row in keys.transpose(-1, -2).reshape(-1, 64)]
    np.testing.assert_array_equal(seen_keys.transpose(-1, -2).reshape(-1, 64).numpy(), expected)
    expected = [twin_row(row.numpy(), 4, 16)[3] for row in values.reshape(-1, 20)]  # a group of 16, one of 4
    np.testing.assert_array_equal(seen_values.reshape(-1, 20).numpy(), expected)
    assert layer.quantized_values.scales.shape == (2, 2, 64, 2)


def test_the_last_tokens_stay_as_they_came() -> None:
    keys, values = states(70)
    seen_keys, seen_values = QuantizedCacheLayer(2, 16, 32).update(keys, values)
    assert torch.equal(seen_keys[..., 64:, :], keys[..., 64:, :])  # 70 = 2 * 32 + 6
    assert not torch.equal(seen_keys[..., 63, :], keys[..., 63, :])
    assert torch.equal(seen_values[..., 38:, :], values[..., 38:, :])  # the last 32
    assert not torch.equal(seen_values[..., 37, :], values[..., 37, :])


def test_bytes_are_those_of_the_tensors() -> None:
    keys, values = states(64, heads=3, d=32, batch=1)
    layer = QuantizedCacheLayer(2, 32, 0)
    layer.update(keys, values)
    numbers = 2 * 3 * 64 * 32
    assert layer.n_values == numbers
    assert layer.nbytes == numbers * 2 // 8 + numbers // 32 * 8
    assert layer.nbytes == sum(tensor.numel() * tensor.element_size() for tensor in stored(layer))


@settings(max_examples=40)
@given(config=CONFIGS, length=st.integers(1, 90), removed=st.integers(0, 95), more=st.integers(0, 40))
def test_crop(config: tuple[int, int], length: int, removed: int, more: int) -> None:
    group, residual = config
    keys, values = states(length + more)
    layer = QuantizedCacheLayer(4, group, residual)
    before = [tensor.clone() for tensor in layer.update(keys[..., :length, :], values[..., :length, :])]
    codes = [tensor.clone() for tensor in stored(layer)[:6]]
    layer.crop(-removed)
    left = max(0, length - removed)
    assert layer.get_seq_length() == left
    # What stays says what it said, and its codes are a beginning of what they were.
    empty = torch.empty(2, 2, 0, 20)
    for old, new in zip(before, layer.update(empty, empty), strict=True):
        assert torch.equal(new, old[..., :left, :])
    for old, new in zip(codes, stored(layer)[:6], strict=True):
        assert torch.equal(old[tuple(slice(size) for size in new.shape)], new)
    whole_groups = min(codes[1].shape[-1], left // group)
    assert layer.quantized_keys.scales.shape[-1] == whole_groups
    # And it goes on: groups are cut at the same places as ever.
    layer.update(keys[..., length:, :], values[..., length:, :])
    total = left + more
    assert layer.get_seq_length() == total
    assert layer.quantized_keys.scales.shape[-1] * group == max(
        whole_groups * group, total - total % (residual or group)
    )


def test_cropping_what_is_not_quantised_leaves_no_trace() -> None:
    keys, values = states(100)
    cropped, straight = QuantizedCacheLayer(4, 16, 32), QuantizedCacheLayer(4, 16, 32)
    cropped.update(keys[..., :70, :], values[..., :70, :])
    cropped.crop(-4)  # 70 = 2 * 32 + 6: keys of the last group are still as they came
    cropped.update(keys[..., 66:, :], values[..., 66:, :])
    straight.update(keys, values)
    # Values of tokens 34..37 were quantised at 70 tokens and stay so; at 100 they are in both.
    assert same(cropped, straight)


def test_rows_of_the_batch_move_whole() -> None:
    keys, values = states(50, batch=3)
    layer, expected = QuantizedCacheLayer(4, 16, 16), QuantizedCacheLayer(4, 16, 16)
    layer.update(keys, values)
    layer.reorder_cache(torch.tensor([2, 0, 0]))
    layer.batch_repeat_interleave(2)
    layer.batch_select_indices(torch.tensor([True, False, True, False, False, True]))
    rows = torch.tensor([2, 0, 0])
    expected.update(keys[rows], values[rows])
    assert same(layer, expected)


def test_reset_forgets_everything() -> None:
    keys, values = states(40)
    layer, fresh = QuantizedCacheLayer(4, 16, 16), QuantizedCacheLayer(4, 16, 16)
    layer.update(*states(33, batch=5, seed=1))
    layer.reset()
    assert layer.get_seq_length() == 0
    assert layer.nbytes == 0
    layer.update(keys, values)
    fresh.update(keys, values)
    assert same(layer, fresh)


def test_gradients_go_straight_through_to_the_states_of_the_same_pass() -> None:
    keys, values = states(40)
    keys.requires_grad_()
    values.requires_grad_()
    layer = QuantizedCacheLayer(2, 16, 0)
    first = [tensor.detach() for tensor in layer.update(keys[..., :10, :], values[..., :10, :])]
    seen = layer.update(keys[..., 10:, :], values[..., 10:, :])
    weights = states(40, seed=3)
    sum((a * b).sum() for a, b in zip(seen, weights, strict=True)).backward()
    for states_, weight in zip((keys, values), weights, strict=True):
        assert states_.grad is not None
        assert torch.equal(states_.grad[..., 10:, :], weight[..., 10:, :])
        assert states_.grad[..., :10, :].count_nonzero() == 0
    assert all(not tensor.requires_grad for tensor in [*first, *stored(layer)])


# ---- the cache of a model ----


def ids(batch: int, tokens: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(3, 96, (batch, tokens), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("make", [random_models.llama, random_models.gpt2])
def test_one_forward_pass_sees_the_quantised_cache_and_converges_to_the_base(make: Any) -> None:
    model, tokens = make(), ids(2, 60)
    with torch.no_grad():
        base = model(tokens).logits
        errors = [
            float((model(tokens, past_key_values=QuantizedCache(model.config, bits, 16, 0)).logits - base).abs().mean())
            for bits in BITS
        ]
    assert errors[0] > errors[1] > errors[2] > errors[3] > 0
    # A step of 8 bits is 1 / 85 of one of 2 bits; logits follow to first order.
    assert errors[3] < errors[0] / 20


@pytest.mark.parametrize("use_cache", [True, False])
def test_a_cache_is_used_whatever_use_cache_says(use_cache: bool) -> None:
    model, cache = random_models.llama(), QuantizedCache(random_models.llama().config, 4, 16, 0)
    with torch.no_grad():
        model(ids(1, 20), past_key_values=cache, use_cache=use_cache)
    assert cache.get_seq_length() == 20


@pytest.mark.parametrize("how", ["greedy", "sample", "beams", "several"])
def test_generate(how: str) -> None:
    model = random_models.llama()
    options: dict[str, dict[str, Any]] = {
        "greedy": {"do_sample": False},
        "sample": {"do_sample": True},
        "beams": {"num_beams": 3, "do_sample": False},
        "several": {"do_sample": True, "num_return_sequences": 3},
    }

    def run(cache: QuantizedCache | None) -> torch.Tensor:
        torch.manual_seed(0)
        result: torch.Tensor = model.generate(
            ids(2, 12), attention_mask=torch.ones(2, 12), past_key_values=cache,
            max_new_tokens=40, eos_token_id=None, pad_token_id=0, **options[how],
        )  # fmt: skip
        return result

    cache = QuantizedCache(model.config, 8, 16, 0)
    found = run(cache)
    assert found.shape[-1] == 52
    assert cache.get_seq_length() == 51  # the last token was not read
    # With a residual longer than the text nothing is quantised: the text is the base's.
    whole = run(QuantizedCache(model.config, 2, 16, 64))
    assert torch.equal(whole, run(None))


def test_generate_steps_read_what_one_forward_pass_stores() -> None:
    model = random_models.llama()
    cache = QuantizedCache(model.config, 4, 16, 16)
    tokens = model.generate(
        ids(1, 20), past_key_values=cache, max_new_tokens=30, eos_token_id=None, pad_token_id=0, do_sample=False
    )
    again = QuantizedCache(model.config, 4, 16, 16)
    with torch.no_grad():
        model(tokens[:, :-1], past_key_values=again)
    # The first layer's keys do not depend on what attention saw; but for rounding in the projection they are equal.
    keys, others = (c.layers[0]._dequantized_keys() for c in (cache, again))
    assert keys.shape == others.shape
    assert float((keys - others).abs().max()) <= 1e-4 * float(keys.abs().max())


def test_assisted_decoding_rolls_back() -> None:
    model, assistant = random_models.llama(), random_models.llama(1)
    cache = QuantizedCache(model.config, 8, 16, 16)
    found = model.generate(
        ids(1, 20), assistant_model=assistant, past_key_values=cache, max_new_tokens=40,
        eos_token_id=None, pad_token_id=0, do_sample=False,
    )  # fmt: skip
    assert found.shape == (1, 60)
    assert cache.get_seq_length() == 59


def test_a_batch_padded_on_the_left_generates_close_to_each_row_alone() -> None:
    model = random_models.llama()
    row = ids(1, 24)
    padded = torch.cat([torch.zeros(1, 8, dtype=torch.long), row], 1)
    mask = torch.cat([torch.zeros(1, 8), torch.ones(1, 24)], 1)
    batch = torch.cat([padded, ids(1, 32, 1)]), torch.cat([mask, torch.ones(1, 32)])
    with torch.no_grad():
        alone = model(row, past_key_values=QuantizedCache(model.config, 8, 16, 0)).logits[0, -1]
        positions = (batch[1].cumsum(1) - 1).clamp(min=0).long()
        together = model(
            batch[0], attention_mask=batch[1], position_ids=positions,
            past_key_values=QuantizedCache(model.config, 8, 16, 0),
        ).logits[0, -1]  # fmt: skip
        base = model(row).logits[0, -1]
    # Groups lie elsewhere, so codes differ, but by no more than quantisation itself does.
    assert float((together - alone).abs().max()) <= 4 * float((alone - base).abs().max())


TINY: dict[str, Any] = {"vocab_size": 96, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}


@pytest.mark.parametrize(
    "config",
    [
        OPTConfig(ffn_dim=64, word_embed_proj_dim=32, max_position_embeddings=64, **TINY),
        Qwen2Config(intermediate_size=64, num_key_value_heads=2, **TINY),
        MistralConfig(intermediate_size=64, num_key_value_heads=2, sliding_window=None, **TINY),
        MistralConfig(intermediate_size=64, num_key_value_heads=1, max_position_embeddings=64, **TINY),
        GPT2Config(vocab_size=96, n_embd=36, n_layer=2, n_head=2, n_positions=64),
    ],
    ids=["opt", "qwen2", "mistral", "mistral-window-as-long-as-the-model", "gpt2-head-of-18"],
)
def test_models_that_attend_to_every_token_are_served(config: Any) -> None:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).eval()
    cache = QuantizedCache(config, 4, 16, 16)
    found = model.generate(
        ids(2, 20), past_key_values=cache, max_new_tokens=20, do_sample=False, eos_token_id=None, pad_token_id=0
    )
    assert found.shape == (2, 40)
    assert cache.get_seq_length() == 39
    heads = getattr(config, "num_key_value_heads", config.num_attention_heads)
    assert cache.layers[0].keys.shape[1] == heads  # those of keys and values, not of queries


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (MistralConfig(sliding_window=128, **TINY), "a sliding window of 128 tokens"),
        (Gemma2Config(num_key_value_heads=2, head_dim=8, **TINY), "one with layers of sliding attention"),
        (T5Config(), "one with an encoder"),
        (GPT2Config(add_cross_attention=True), "one with an encoder"),
        (DeepseekV3Config(), "one with latent attention (MLA)"),
        (MambaConfig(), "one with layers of linear attention"),
    ],
    ids=["mistral", "gemma2", "t5", "cross-attention", "deepseek", "mamba"],
)
def test_other_models_are_refused_with_the_reason(config: Any, why: str) -> None:
    with pytest.raises(InputError) as refused:
        QuantizedCache(config, 4)
    assert str(refused.value) == (
        f"QuantizedCache: model must keep keys and values of every token in each layer, got {why}"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((5, 64, 128), "QuantizedCache: bits must be one of 2, 3, 4, 8, got 5"),
        ((4, 24, 48), "QuantizedCache: group must be a positive multiple of 16, got 24"),
        ((4, 0, 0), "QuantizedCache: group must be a positive multiple of 16, got 0"),
        ((4, 32, 48), "QuantizedCache: residual must be a multiple of group = 32, got 48"),
        ((4, 32, -32), "QuantizedCache: residual must be a multiple of group = 32, got -32"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments: tuple[int, int, int], message: str) -> None:
    with pytest.raises(InputError) as refused:
        QuantizedCache(LlamaConfig(**TINY), *arguments)
    assert str(refused.value) == message


def test_what_is_no_cache_and_no_configuration_is_refused() -> None:
    model = fairopt.compress(random_models.llama(), "kv4")
    for other, got in [
        (((torch.zeros(1, 2, 3, 16),) * 2,), "tuple"),
        (DynamicCache(offloading=True), "with offloading"),
    ]:
        with pytest.raises(InputError, match=f"must be a QuantizedCache or an empty DynamicCache, .* got .*{got}"):
            model(torch.tensor([[1, 2]]), past_key_values=other)
    with pytest.raises(InputError, match=r"config must be that of a model .model.config., got LlamaForCausalLM"):
        QuantizedCache(random_models.llama(), 4)
    with pytest.raises(InputError, match="bits must be one of 2, 3, 4, 8, got '4'"):
        QuantizedCache(model.config, "4")  # type: ignore[arg-type]


def test_cropping_forward_is_refused() -> None:
    with pytest.raises(InputError, match="tokens_to_remove must be negative or 0, got 3"):
        QuantizedCacheLayer(4, 16, 0).crop(3)


def test_bits_per_value_of_a_model() -> None:
    model = random_models.llama()
    cache = QuantizedCache(model.config, 4, 16, 0)
    assert np.isnan(cache.bits_per_value)
    with torch.no_grad():
        model(ids(2, 64), past_key_values=cache)
    # Keys: 4 bits and two fp32 for 16 tokens. Values: heads of 8 channels, so two fp32 for 8.
    assert cache.bits_per_value == (4 + 64 / 16) / 2 + (4 + 64 / 8) / 2
    assert cache.nbytes == sum(layer.nbytes for layer in cache.layers)
