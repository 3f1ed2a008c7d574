"""Random models of every known architecture, and a decoder block with calibration calls as solvers meet it."""

from __future__ import annotations

import copy
from typing import Any

import torch
from quantized import normal
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM

from fairopt.compress.layers import linear_layers
from fairopt.compress.recipe import Chain, Quantize
from fairopt.compress.solvers.base import BlockCall, BlockTask

SHAPES: dict[str, dict[str, Any]] = {
    "gpt2": {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 128},
    "opt": {"ffn_dim": 128, "word_embed_proj_dim": 64},
    "phi": {},
    "phi3": {"pad_token_id": 0},
    "qwen3": {"head_dim": 16},
}
FAMILIES = ("gpt2", "llama", "mistral", "opt", "phi", "phi3", "qwen2", "qwen3")


def model_of(family: str, **more: Any) -> nn.Module:
    common = {
        "vocab_size": 96,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 128,
        "initializer_range": 0.2,
        "bos_token_id": None,
        "eos_token_id": None,
    }
    shape = {} if family == "gpt2" else common
    if family in ("gpt2", "opt", "phi"):
        common.pop("num_key_value_heads")
    config = AutoConfig.for_model(family, **{**common, **shape, **SHAPES.get(family, {}), **more})
    torch.manual_seed(0)
    model: nn.Module = AutoModelForCausalLM.from_config(config).eval()
    for name, parameter in model.named_parameters():  # gains and biases that do something
        if parameter.dim() == 1:
            parameter.data += normal(*parameter.shape, seed=len(name)) * 0.1
    return model


def block_name(model: nn.Module, index: int = 0) -> str:
    lists = [name for name, module in model.named_modules() if isinstance(module, nn.ModuleList)]
    return f"{lists[0]}.{index}"


@torch.no_grad()
def block_task(
    model: nn.Module, step: Quantize, *, index: int = 0, seed: int = 0, batches: int = 2, tokens: int = 48
) -> BlockTask:
    """The block of that index, every layer of it with ``step``, and its calls on random token ids."""
    name = block_name(model, index)
    block = model.get_submodule(name)
    calls: list[BlockCall] = []

    def keep(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        rest = dict(kwargs)
        hidden = args[0] if args else rest.pop("hidden_states")
        calls.append(BlockCall(hidden.clone(), args[1:], rest))

    handle = block.register_forward_pre_hook(keep, with_kwargs=True)
    generator = torch.Generator().manual_seed(seed)
    vocabulary = model.get_input_embeddings().num_embeddings  # type: ignore[operator, union-attr]
    for _ in range(batches):
        model(torch.randint(3, vocabulary, (2, tokens), generator=generator), use_cache=False)
    handle.remove()
    own = copy.deepcopy(block).float()
    chains = {layer: Chain((step,)) for layer in linear_layers(own)}
    return BlockTask(name, own, chains, calls, seed)


@torch.no_grad()
def outputs(task: BlockTask) -> torch.Tensor:
    return torch.cat([output.flatten() for output in task.run()])
