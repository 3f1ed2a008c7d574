"""Random transformers models of a few layers, one for each way that linear layers are laid out."""

from __future__ import annotations

import torch
from torch import nn

IDS = torch.arange(32)[None]


def llama(tied: bool = True, dtype: torch.dtype = torch.float32, hidden: int = 64) -> nn.Module:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64, hidden_size=hidden, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, tie_word_embeddings=tied,
    )  # fmt: skip
    return LlamaForCausalLM._from_config(config, dtype=dtype).eval()


def gpt2() -> nn.Module:
    """Its layers are transposed ``Conv1D``, with biases."""
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=64, n_positions=32, n_embd=64, n_layer=2, n_head=4, bos_token_id=0, eos_token_id=0
    )  # fmt: skip
    return GPT2LMHeadModel(config).eval()


def xlm_roberta() -> nn.Module:
    """Its head comes before its body: a tied tensor is stored under the head's name."""
    from transformers import XLMRobertaConfig, XLMRobertaForMaskedLM

    torch.manual_seed(0)
    config = XLMRobertaConfig(
        vocab_size=64, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=40,
    )  # fmt: skip
    return XLMRobertaForMaskedLM(config).eval()


def logits(model: nn.Module) -> torch.Tensor:
    """Logits of 32 tokens."""
    with torch.no_grad():
        return model(IDS).logits


def train(model: nn.Module, steps: int) -> list[float]:
    """The losses of steps by what is trainable."""
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    model.train()
    losses = []
    for _ in range(steps):
        loss = model(IDS, labels=IDS).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    model.eval()
    return losses
