"""Every recipe on every layout of a decoder: it runs, says its true size, and comes back from disk as it was."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import fairopt as fo

LISTED = Path(__file__).parents[2] / "benchmarks" / "recipes.json"  # benchmarks/recipes.py runs these on large models
RECIPES = (
    *json.loads(LISTED.read_text(encoding="utf-8"))["quantization"],
    "fp8",
    "mse:int4,g=32",
    "signround:int4,g=32,steps=4",
    "llm_int8",
    "kv4:group=16,residual=16",
    "int4+kv4:group=16,residual=0",
    "hadamard:int4,g=32",
    "hadamard:online+int4:g=32",
)
MODELS = ("llama", "gpt2", "opt", "qwen2", "mistral")


def made(name: str) -> Any:
    """Two blocks of random weights; Llama, Qwen and Mistral share each head of keys among two of queries."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 64}
    gqa = {**sizes, "intermediate_size": 256, "num_key_value_heads": 2, "tie_word_embeddings": name == "qwen2"}
    config = {
        "llama": lambda: transformers.LlamaConfig(vocab_size=64, **gqa),
        "qwen2": lambda: transformers.Qwen2Config(vocab_size=64, **gqa),
        "mistral": lambda: transformers.MistralConfig(vocab_size=64, **gqa, sliding_window=None),
        "opt": lambda: transformers.OPTConfig(vocab_size=64, **sizes, ffn_dim=256, word_embed_proj_dim=128),
        "gpt2": lambda: transformers.GPT2Config(vocab_size=64, n_positions=64, n_embd=128, n_layer=2, n_head=4),
    }[name]()
    return transformers.AutoModelForCausalLM.from_config(config).eval()


def applies(recipe: str, model: str) -> bool:
    """A rotation passes through RMSNorm only: GPT-2 and OPT centre their hidden states."""
    return not (recipe.startswith("hadamard:int4") and model in ("gpt2", "opt"))


@pytest.mark.parametrize(
    ("recipe", "name"), [(recipe, model) for recipe in RECIPES for model in MODELS if applies(recipe, model)]
)
def test_a_recipe_runs_and_is_stored(recipe: str, name: str, tmp_path: Path) -> None:
    model = made(name)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    generator = torch.Generator().manual_seed(0)
    tokens = [torch.randint(64, (32,), generator=generator) for _ in range(4)]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "compress: .* fewer calibration tokens")
        compressed = fo.compress(model, recipe, calibration=tokens, seed=0)
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())

    record = fo.save(compressed, tmp_path)
    stored = sum(file.stat().st_size for file in tmp_path.glob("*.safetensors"))
    # What the record counts lies in the file, which adds a header of names and shapes.
    assert record.bytes <= stored <= record.bytes + 400 * len(compressed.state_dict()) + 4096
    assert recipe.startswith("kv") or record.bytes < record.dense_bytes

    ids = torch.randint(64, (2, 40), generator=generator)
    with torch.no_grad():
        logits = compressed(ids).logits
        assert torch.isfinite(logits).all()
        assert torch.equal(fo.load(tmp_path)(ids).logits, logits)
