"""The config that plain transformers takes for a model that was cut, where its own kind of config refuses the sizes.

Llama's refuses a number of heads that does not divide the width of the model, whatever ``head_dim`` says. Mistral's
does not, and its code is Llama's without biases and with a window that can be left out: 24 heads of 128 beside 4096
channels are a Mistral. Others that refuse (Gemma 2, GPT-NeoX) have no such twin.
"""

from __future__ import annotations

import copy
from typing import Any

from torch import nn

_LLAMA_ALONE = ("model_type", "architectures", "attention_bias", "mlp_bias", "pretraining_tp", "transformers_version")
_CLASSES = ("Model", "ForCausalLM", "ForSequenceClassification", "ForTokenClassification")  # named alike in both


def is_valid(config: Any) -> bool:
    """Whether transformers takes the sizes that a config says."""
    try:
        getattr(config, "validate_architecture", lambda: None)()
    except ValueError:
        return False
    return True


def has_plain_config(model: nn.Module, config: Any) -> bool:
    """Whether plain transformers can be told of ``model`` with the sizes of ``config``, perhaps by another name."""
    llama = type(model).__name__ in [f"Llama{ending}" for ending in _CLASSES]
    return is_valid(config) or (llama and not config.attention_bias and not config.mlp_bias)


def plain_config(model: nn.Module) -> Any:
    """A copy of the config of ``model``, with its class as architecture; a Mistral's for a Llama that has to be one."""
    from transformers import MistralConfig

    config: Any = copy.deepcopy(getattr(model, "config"))  # noqa: B009  a module has none that mypy knows
    name = type(model).__name__
    if not is_valid(config) and has_plain_config(model, config):
        said = {key: value for key, value in config.to_dict().items() if key not in _LLAMA_ALONE}
        config, name = MistralConfig(**said, sliding_window=None), name.replace("Llama", "Mistral")
    config.architectures = [name]
    return config
