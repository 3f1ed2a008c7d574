"""A tiny random model of every family in the table of structures, with biases and gains that matter."""

from __future__ import annotations

from typing import Any

import torch
from decoder_blocks import model_of
from masked_models import bert, other, roberta
from torch import nn

IDS = torch.arange(3, 20)[None]
_MOE: dict[str, Any] = {
    "num_experts": 4,
    "num_local_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 32,
    "shared_expert_intermediate_size": 48,
}
_GEMMA = {"head_dim": 16, "num_key_value_heads": 2}
_MASKED = {"bert": bert, "distilbert": lambda: other("distilbert"), "roberta": roberta}
_CAUSAL: dict[str, dict[str, Any]] = {
    "gemma": _GEMMA,
    "gemma2": _GEMMA,
    "gemma3_text": _GEMMA,
    "gpt2": {},
    "gpt_neox": {"num_key_value_heads": None},
    "llama": {"tie_word_embeddings": True},
    "mistral": {},
    "mixtral": _MOE,
    "opt": {},
    "phi": {},
    "phi3": {},
    "qwen2": {},
    "qwen2_moe": _MOE,
    "qwen3": {},
    "qwen3_moe": {**_MOE, "head_dim": 16},
}
FAMILIES = (*_CAUSAL, *_MASKED)
MOE = ("mixtral", "qwen2_moe", "qwen3_moe")


def family(name: str, **more: Any) -> Any:
    """The model, in evaluation mode; ``more`` goes into the config of a causal one."""
    if name in _MASKED:
        return shaken(_MASKED[name]())
    return model_of(name, **{**_CAUSAL[name], **more})


def shaken(model: nn.Module) -> nn.Module:
    """The model with every bias and gain moved: zeros would hide a wrong coupling."""
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        if parameter.dim() == 1:
            parameter.data += torch.randn(parameter.shape, generator=generator) * 0.1
    return model


def logits(model: nn.Module, ids: torch.Tensor = IDS) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(ids).logits
    return found


def is_masked(name: str) -> bool:
    return name in _MASKED
