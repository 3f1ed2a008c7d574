"""fairopt.compress.blocks: which modules are the decoder blocks, and that they are called as the model calls them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import random_models
import torch
import transformers
from torch import nn

from fairopt.compress.blocks import Scaffold, decoder_blocks
from fairopt.compress.calibration import Calibration
from fairopt.compress.solvers.base import BlockCall
from fairopt.errors import InputError
from fairopt.nn.products import arithmetic

SIZES = {"vocab_size": 96, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4}
WINDOW = {**SIZES, "max_position_embeddings": 64, "num_key_value_heads": 2, "intermediate_size": 48}


def architectures() -> Iterator[tuple[str, transformers.PreTrainedConfig]]:
    yield "llama", transformers.LlamaConfig(**WINDOW)
    yield "qwen2", transformers.Qwen2Config(**WINDOW)
    yield "mistral", transformers.MistralConfig(**WINDOW, sliding_window=8)
    yield "gemma3", transformers.Gemma3TextConfig(**WINDOW, head_dim=8, sliding_window=8)  # masks of two kinds
    yield "mixtral", transformers.MixtralConfig(**WINDOW, num_local_experts=4)
    yield "phi", transformers.PhiConfig(**SIZES, max_position_embeddings=64, intermediate_size=48)
    yield "gpt_neox", transformers.GPTNeoXConfig(**SIZES, max_position_embeddings=64, intermediate_size=48)
    yield "gpt2", transformers.GPT2Config(vocab_size=96, n_positions=64, n_embd=32, n_layer=3, n_head=4)
    yield "bloom", transformers.BloomConfig(vocab_size=96, hidden_size=32, n_layer=3, n_head=4)  # tuples come back
    yield "opt", transformers.OPTConfig(**SIZES, ffn_dim=48, max_position_embeddings=64, word_embed_proj_dim=16)


ARCHITECTURES = dict(architectures())


def random_model(name: str) -> transformers.PreTrainedModel:
    torch.manual_seed(0)
    return transformers.AutoModelForCausalLM.from_config(ARCHITECTURES[name]).eval()


def calibration() -> Calibration:
    generator = torch.Generator().manual_seed(0)
    return Calibration.of([torch.randint(96, (50,), generator=generator)], length=20)  # 20, 20 and 10 tokens


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_blocks_one_after_another_are_the_model(name: str) -> None:
    model = random_model(name).train()
    tokens = calibration()
    scaffold = Scaffold(model, tokens)
    assert len(scaffold.blocks) == 3
    calls = scaffold.calls()
    assert model.training
    assert not any("forward" in block.__dict__ for block in scaffold.blocks.values())
    model.eval()
    hidden = calls.hidden
    with torch.no_grad(), arithmetic():
        for block, arguments in zip(scaffold.blocks.values(), calls.arguments, strict=True):
            hidden = [BlockCall(h, *given)(block) for h, given in zip(hidden, arguments, strict=True)]
        inputs = scaffold.inputs_outside(model.get_output_embeddings(), hidden)
        for ids, x in zip(tokens.batches(4096), inputs, strict=True):
            assert torch.equal(model.get_output_embeddings()(x), model(ids).logits)


def test_sixteen_bits_are_captured_in_fp32() -> None:
    calls = Scaffold(random_model("llama").bfloat16(), calibration()).calls()
    tensors = [*calls.hidden, *calls.arguments[0][0].kwargs["position_embeddings"]]
    assert all(t.dtype == torch.float32 for t in tensors)
    first, second = calls.arguments[0][0].kwargs, calls.arguments[1][0].kwargs
    assert first["position_embeddings"][0] is second["position_embeddings"][0]  # kept once for all blocks


def test_experts_inside_a_block_are_no_blocks() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.experts = nn.ModuleList([nn.Linear(4, 4) for _ in range(8)])

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList([Block(), Block()])

    assert list(decoder_blocks(Model())) == ["layers.0", "layers.1"]


def test_refuses_a_model_without_blocks() -> None:
    with pytest.raises(InputError, match=r"model must have decoder blocks .* got none in Linear"):
        decoder_blocks(nn.Linear(4, 4))


def test_the_model_is_put_back_after_an_error() -> None:
    model = random_models.llama()
    scaffold = Scaffold(model, Calibration.of([[200]], length=1))
    with pytest.raises(IndexError):
        scaffold.calls()
    assert not any("forward" in block.__dict__ for block in scaffold.blocks.values())
