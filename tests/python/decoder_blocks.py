"""A decoder block of a model, with real calibration calls, as the solvers of blocks meet it."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from fairopt.compress.layers import linear_layers
from fairopt.compress.recipe import Chain, Quantize
from fairopt.compress.solvers.base import BlockCall, BlockTask


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
