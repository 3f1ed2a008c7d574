"""Attention over the nodes of a token trie, plugged into unmodified transformers models.

A node sees its ancestors and itself; its depth is its position. transformers calls the attention function that a
model's configuration names (``AttentionInterface``); while a trie is read that is :func:`_attend`, which knows the
chunk at hand. Keys and values of the path that the next chunk carries are kept, layer by layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn import functional
from transformers import AttentionInterface, PreTrainedModel

from fairopt import ops
from fairopt.models.trie import Chunk, filled
from fairopt.nn.products import arithmetic

NAME = "fairopt_tree"
# What a model may pass to its attention beside queries, keys and values, and what must not be ignored.
_FOREIGN = ("softcap", "s_aux", "position_bias", "cache", "block_mask")


class CannotServe(Exception):  # noqa: N818 - a finding, not an error of the user's
    """A model turned out to compute its attention in a way that a trie cannot serve."""


@dataclass
class TreeReader:
    """Reads the chunks of one trie in order, with one model; :func:`reading` makes it."""

    model: Any
    chunk: Chunk | None = None
    tables: tuple[torch.Tensor, torch.Tensor] | None = None  # the chunk's segments and runs, for the kernel
    mask: torch.Tensor | None = None  # [n, p + n], for stock attention
    carried: dict[Any, tuple[torch.Tensor, torch.Tensor]] = field(default_factory=dict)  # by attention module

    def read(self, chunk: Chunk) -> torch.Tensor:
        """Hidden states [n, hidden] of the chunk's nodes, as the model's head sees them."""
        device = self.model.device
        n, chunk = len(chunk.tokens), filled(chunk)
        self.chunk = chunk
        if uses_kernel(self.model):
            self.tables = torch.from_numpy(chunk.segments), torch.from_numpy(chunk.runs)
        else:
            self.mask = ancestors(chunk).to(device)
        token = _READER.set(self)
        try:
            with arithmetic():
                hidden: torch.Tensor = self.model.base_model(
                    input_ids=torch.from_numpy(chunk.tokens)[None].to(device),
                    # Not looked at, but without it some models warn about padding.
                    attention_mask=torch.ones(1, len(chunk.tokens), dtype=torch.long, device=device),
                    position_ids=torch.from_numpy(chunk.depths)[None].to(device),
                    use_cache=False,
                ).last_hidden_state[0]
        finally:
            _READER.reset(token)
        return hidden[:n]

    def attend(self, module: Any, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scale: float) -> torch.Tensor:
        """q [heads, n, d], k and v [kv_heads, n, d] of the new nodes -> [n, heads, d]; keeps what is carried."""
        chunk = self.chunk
        assert chunk is not None
        if chunk.carried:
            before_k, before_v = self.carried[module]
            k = torch.cat([before_k[:, : chunk.carried], k], dim=1)
            v = torch.cat([before_v[:, : chunk.carried], v], dim=1)
        if len(chunk.leaves):
            path = torch.from_numpy(chunk.leaves).to(k.device)
            self.carried[module] = (k[:, path], v[:, path])
        if self.tables is not None:
            return ops.tree_attention(q, k, v, *self.tables, scale)
        groups = q.shape[0] // k.shape[0]
        if groups > 1:
            k, v = k.repeat_interleave(groups, dim=0), v.repeat_interleave(groups, dim=0)
        out = functional.scaled_dot_product_attention(q[None], k[None], v[None], attn_mask=self.mask, scale=scale)
        return out[0].transpose(0, 1)


def uses_kernel(model: Any) -> bool:
    """Whether ``torch.ops.fairopt.tree_attention`` can serve the model: on the CPU, in fp32."""
    return bool(model.device.type == "cpu" and model.dtype == torch.float32)


_READER: ContextVar[TreeReader] = ContextVar("fairopt_tree_reader")


def _attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """The attention function of transformers: [1, heads, n, d] -> [1, n, heads, d]."""
    foreign = [name for name in _FOREIGN if options.get(name) is not None]
    if foreign:
        raise CannotServe(f"its attention takes {foreign[0]}")
    if query.shape[0] != 1 or key.shape[2] != query.shape[2] or key.shape != value.shape:
        raise CannotServe("its attention takes other shapes")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    return _READER.get().attend(module, query[0], key[0], value[0], scale)[None], None


AttentionInterface.register(NAME, _attend)


def ancestors(chunk: Chunk) -> torch.Tensor:
    """bool [n, p + n]: which keys each node sees. For stock attention; the kernel reads segments and runs instead."""
    n = len(chunk.tokens)
    seen = torch.zeros(n, chunk.carried + n, dtype=torch.bool)
    for start, count, run, n_runs in chunk.segments.tolist():
        rows = seen[start : start + count]
        for key, length in chunk.runs[run : run + n_runs].tolist():
            rows[:, key : key + length] = True
        own = chunk.carried + start
        rows[:, own : own + count] = torch.ones(count, count, dtype=torch.bool).tril()
    return seen


@contextmanager
def reading(model: Any) -> Iterator[TreeReader]:
    """Switch the model's attention over while the block runs; its own comes back whatever happens."""
    configs = {id(m.config): m.config for m in model.modules() if isinstance(m, PreTrainedModel)}
    before = [(config, config._attn_implementation_internal) for config in configs.values()]
    try:
        model.set_attn_implementation(NAME)
        yield TreeReader(model)
    finally:
        for config, implementation in before:
            config._attn_implementation_internal = implementation
