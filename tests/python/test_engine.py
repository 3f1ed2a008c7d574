"""Which models are read over a trie, that others fall back and say why, and that all are left as they came."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf
from random_models import gpt2, llama, tokenizer
from test_loglikelihood import REQUESTS, TOLERANCE, plain
from torch import nn

import fairopt as fo
from fairopt.models import engine as engine_room
from fairopt.models import tree_attention
from fairopt.models.engine import engine
from fairopt.models.loglikelihood import ScoreOptions, describe, loglikelihood
from fairopt.nn import QuantizedLinear

SHAPE = {
    "vocab_size": 96, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 128, "initializer_range": 0.3,
    "bos_token_id": 2, "eos_token_id": 1, "pad_token_id": 0,
}  # fmt: skip


def make(name: str, **options: Any) -> Any:
    torch.manual_seed(0)
    config = getattr(tf, f"{name}Config")(**(SHAPE | options))
    return tf.AutoModelForCausalLM.from_config(config).eval()


def equals_plain(model: Any, atol: float = TOLERANCE) -> None:
    tok = tokenizer()
    expected = [plain(model, tok, *request) for request in REQUESTS]
    for options in (ScoreOptions(), ScoreOptions(token_budget=10, reverse=True)):
        np.testing.assert_allclose(loglikelihood(model, tok, REQUESTS, options).ll, expected, rtol=0, atol=atol)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("Llama", {"attention_bias": True}),
        ("Qwen2", {}),
        ("Qwen3", {"head_dim": 16}),
        ("Mistral", {"sliding_window": 128}),  # as long as the window: never cuts
        ("GPTNeoX", {}),
        ("Phi", {}),  # a head with bias, partial rotary
        ("Granite", {"logits_scaling": 4.0, "attention_multiplier": 0.5}),
        ("Cohere", {"logit_scale": 0.25}),
        ("OPT", {"ffn_dim": 64, "word_embed_proj_dim": 32}),
        ("Olmo2", {}),
    ],
)
def test_read_over_a_trie(name: str, options: dict[str, Any]) -> None:
    model = make(name, **options)
    assert str(engine(model)) == "tree attention"
    equals_plain(model)


@pytest.mark.parametrize(
    ("name", "options", "why"),
    [
        ("Mistral", {"sliding_window": 8}, "a sliding window of 8 tokens"),
        ("Gemma2", {"head_dim": 8}, "layers of sliding attention"),
        ("Gemma2", {"head_dim": 8, "layer_types": ["full_attention"] * 2}, "soft-capped attention"),
        ("GptOss", {"num_local_experts": 4, "layer_types": ["full_attention"] * 2}, "attention sinks"),
        ("Bloom", {"n_layer": 2, "n_head": 4}, "its attention does not go through AttentionInterface"),
        ("Falcon", {"alibi": True}, "its attention does not go through AttentionInterface"),
        ("Mamba", {"state_size": 8}, "recurrent layers"),
    ],
)
def test_falls_back_and_says_why(name: str, options: dict[str, Any], why: str) -> None:
    model = make(name, attn_implementation="eager", **options) if name == "Gemma2" else make(name, **options)
    assert str(engine(model)) == f"padded batches ({why})"
    assert describe(model, tokenizer())["engine"] == f"padded batches ({why})"
    stats = loglikelihood(model, tokenizer(), REQUESTS).stats
    assert (stats.mode, stats.why) == ("padded batches", why)
    equals_plain(model)


def test_encoder_decoder_and_foreign_code() -> None:
    t5 = tf.T5ForConditionalGeneration(
        tf.T5Config(vocab_size=96, d_model=32, d_ff=64, d_kv=8, num_layers=1, num_heads=4, decoder_start_token_id=0)
    )
    assert engine(t5).why == "encoder and decoder"

    class Foreign(tf.LlamaForCausalLM):
        """A user's own."""

    foreign = Foreign(tf.LlamaConfig(**SHAPE)).eval()
    assert engine(foreign).why == "its code does not come with transformers"
    equals_plain(foreign)


def test_what_looking_does_not_see_is_disproved() -> None:
    class Halved(nn.Module):
        def forward(self, hidden: torch.Tensor) -> torch.Tensor:
            return hidden / torch.arange(1, hidden.shape[1] + 1)[:, None]  # depends on the place in the batch

    model = llama()
    model.model.norm = nn.Sequential(model.model.norm, Halved())
    assert engine(model).why == "its scores over a trie are not its own"
    equals_plain(model)


def test_a_model_that_changes_is_looked_at_again() -> None:
    model = llama()
    assert engine(model).mode == "tree attention"
    assert engine(model.to(torch.bfloat16)).mode == "trie over an SDPA mask"
    assert engine(model.to(torch.float32)).mode == "tree attention"

    class Backwards(nn.Module):
        def forward(self, hidden: torch.Tensor) -> torch.Tensor:
            return hidden.flip(1)

    model.model.layers[0].mlp = Backwards()
    assert engine(model).mode == "padded batches"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("build", [llama, gpt2])
def test_half_precision_uses_stock_attention(build: Any, dtype: torch.dtype) -> None:
    model, tok = build().to(dtype), tokenizer()
    assert str(engine(model)) == f"trie over an SDPA mask (cpu, {str(dtype).removeprefix('torch.')})"
    alone = [plain(model, tok, *request) for request in REQUESTS]
    n_tokens = loglikelihood(model, tok, REQUESTS).n_tokens
    # The docstring's bound with u = eps / 2 of the type, s = 20, L = 2: 60 u a token, and sqrt(T) for their sum.
    allowed = 85 * torch.finfo(dtype).eps / 2 * np.sqrt(n_tokens)
    for options in (ScoreOptions(), ScoreOptions(token_budget=20)):
        assert (np.abs(loglikelihood(model, tok, REQUESTS, options).ll - alone) < allowed).all()


@pytest.mark.parametrize("build", [llama, gpt2])
def test_stock_attention_gives_the_same_scores(build: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model, tok = build(), tokenizer()
    kernel = loglikelihood(model, tok, REQUESTS, ScoreOptions(token_budget=20))
    for module in (tree_attention, engine_room):
        monkeypatch.setattr(module, "uses_kernel", lambda model: False)
    stock = loglikelihood(model, tok, REQUESTS, ScoreOptions(token_budget=20))
    assert (kernel.stats.mode, stock.stats.mode) == ("tree attention", "trie over an SDPA mask")
    np.testing.assert_allclose(stock.ll, kernel.ll, rtol=0, atol=TOLERANCE)


@pytest.mark.cuda
@pytest.mark.parametrize("build", [llama, gpt2])
def test_cuda_equals_cpu(build: Any) -> None:
    model, tok = build(), tokenizer()
    on_cpu = loglikelihood(model, tok, REQUESTS, ScoreOptions(token_budget=20))
    on_gpu = loglikelihood(model.to("cuda"), tok, REQUESTS, ScoreOptions(token_budget=20))
    assert on_gpu.stats.mode == "trie over an SDPA mask"
    # Matrix products of CUDA are fp32 too (no TF32 unless asked for): the same bound.
    np.testing.assert_allclose(on_gpu.ll, on_cpu.ll, rtol=0, atol=TOLERANCE)


def test_compressed_layers_and_a_compressed_head() -> None:
    model = llama()
    for layer in model.model.layers:
        layer.mlp.up_proj = QuantizedLinear.from_linear(layer.mlp.up_proj, "nf4", 32)
        layer.self_attn.q_proj = QuantizedLinear.from_linear(layer.self_attn.q_proj, "int4_asym", 16)
    model.lm_head = QuantizedLinear.from_linear(model.lm_head, "int8", 32)
    assert str(engine(model)) == "tree attention"
    equals_plain(model)


def test_wide_vocabulary_goes_through_several_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairopt.models.head.ROWS", 7)
    monkeypatch.setattr("fairopt.models.head.COLUMNS", 32)
    equals_plain(llama())
    equals_plain(make("Phi"))


@pytest.mark.parametrize("build", [llama, lambda: make("Mistral", sliding_window=8)])
def test_a_model_leaves_as_it_came(build: Any) -> None:
    model, tok = build().train(), tokenizer()
    model.model.layers[0].eval()  # a model may be half in training
    model.set_attn_implementation("eager")
    before = {name: module.training for name, module in model.named_modules()}

    class Stop(Exception):
        pass

    def stop(_: int) -> None:
        raise Stop

    loglikelihood(model, tok, REQUESTS)
    with pytest.raises(Stop):
        loglikelihood(model, tok, REQUESTS, advance=stop)
    model.model.layers[1].mlp.forward = lambda hidden: stop(0)  # the model itself breaks
    with pytest.raises(Stop):
        loglikelihood(model, tok, REQUESTS)
    assert model.config._attn_implementation == "eager"
    assert {name: module.training for name, module in model.named_modules()} == before
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_shared_text_is_computed_once_and_carried() -> None:
    model, tok = llama(), tokenizer()
    shots = "".join(f"Q: {i}? A: yes. " for i in range(5))
    requests = [(f"{shots}Q: who {name}? A:", f" {answer}") for name in ("a", "b", "c") for answer in ("he", "she")]
    tokens = len(tok(shots)["input_ids"])
    tight = loglikelihood(model, tok, requests, ScoreOptions(token_budget=20))
    assert tight.stats.distinct == 6
    # Six times the shots when each request is read alone; once over the trie, however small the chunks.
    assert tight.stats.tokens > 6 * tokens
    assert tight.stats.nodes < tokens + 3 * 20
    expected = [plain(model, tok, *request) for request in requests]
    np.testing.assert_allclose(tight.ll, expected, rtol=0, atol=TOLERANCE)


def test_equal_requests_cost_once() -> None:
    model, tok = llama(), tokenizer()
    once = loglikelihood(model, tok, REQUESTS)
    done: list[int] = []
    thrice = loglikelihood(model, tok, REQUESTS * 3, advance=done.append)
    assert thrice.stats.nodes == once.stats.nodes
    assert thrice.stats.distinct == len(REQUESTS)
    assert thrice.ll.tolist() == once.ll.tolist() * 3
    assert sum(done) == 3 * len(REQUESTS)


def test_tied_first_choices_are_greedy() -> None:
    model, tok = llama(), tokenizer()
    model.lm_head.weight.data.zero_()
    scores = loglikelihood(model, tok, REQUESTS)
    assert scores.greedy.all()
    np.testing.assert_allclose(scores.ll, -np.log(96) * scores.n_tokens, rtol=1e-6)


@pytest.mark.parametrize("seed", [3, 5])
def test_rounded_activations_do_not_hide_how_a_model_is_read(seed: int) -> None:
    """A code of an activation that falls to the other side moves these models' scores as a wrong mask would."""
    torch.manual_seed(seed)
    sizes = {"vocab_size": 512, "hidden_size": 128, "intermediate_size": 512, "num_hidden_layers": 8}
    config = tf.LlamaConfig(**SHAPE | sizes | {"initializer_range": 0.02})
    model = fo.compress(tf.LlamaForCausalLM(config).eval(), "w8a8")
    assert str(engine(model)) == "tree attention"
    assert all("forward" not in vars(module) for module in model.modules())
