"""What the methods that move scales or rotations between layers must know of an architecture: who reads whom.

One table, by the class of the decoder block. A block that is not in it is refused by name: a wrong guess would change
what the model computes. Which axes of which tensors belong together is in ``structure.families``.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import nn

from fairopt.compress.layers import dense_weight, linear_layers
from fairopt.errors import InputError


@dataclass(frozen=True)
class Fold:
    """Inputs that one module writes and ``layers``, all of them, read: what divides them there can multiply here."""

    source: str  # a norm, or a linear layer with nothing but homogeneous functions between
    layers: tuple[str, ...]
    part: tuple[int, int] = (0, 1)  # which of how many equal parts of the source's outputs: a fused q, k, v has three


@dataclass(frozen=True)
class BlockLayout:
    """The layers of one kind of decoder block and how they hang together, by their names within the block."""

    folds: tuple[Fold, ...]
    query_key: tuple[str, ...]  # layers whose outputs meet in a softmax
    rms_norm: bool = True  # whether the norms are RMSNorm, which a rotation leaves unchanged

    @property
    def norms(self) -> tuple[Fold, ...]:
        """The folds of the norms: these layers read the residual stream."""
        return tuple(fold for fold in self.folds if "norm" in fold.source or "ln_" in fold.source)


_QKV = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")

_LLAMA = BlockLayout(
    folds=(
        Fold("input_layernorm", _QKV),
        Fold("self_attn.v_proj", ("self_attn.o_proj",)),
        Fold("post_attention_layernorm", ("mlp.gate_proj", "mlp.up_proj")),
        Fold("mlp.up_proj", ("mlp.down_proj",)),
    ),
    query_key=_QKV[:2],
)
_PHI3 = BlockLayout(
    folds=(
        Fold("input_layernorm", ("self_attn.qkv_proj",)),
        Fold("post_attention_layernorm", ("mlp.gate_up_proj",)),
        Fold("mlp.gate_up_proj", ("mlp.down_proj",), part=(1, 2)),
    ),
    query_key=("self_attn.qkv_proj",),
)
_PHI = BlockLayout(
    folds=(Fold("input_layernorm", (*_QKV, "mlp.fc1")), Fold("self_attn.v_proj", ("self_attn.dense",))),
    query_key=_QKV[:2],
    rms_norm=False,
)
_GPT2 = BlockLayout(
    folds=(
        Fold("ln_1", ("attn.c_attn",)),
        Fold("attn.c_attn", ("attn.c_proj",), part=(2, 3)),
        Fold("ln_2", ("mlp.c_fc",)),
    ),
    query_key=("attn.c_attn",),
    rms_norm=False,
)
_OPT = BlockLayout(
    folds=(
        Fold("self_attn_layer_norm", _QKV),
        Fold("self_attn.v_proj", ("self_attn.out_proj",)),
        Fold("final_layer_norm", ("fc1",)),
    ),
    query_key=_QKV[:2],
    rms_norm=False,
)


class LoneLayer(nn.Module):
    """A linear layer that lies in no decoder block, as a block of its own: nothing can be moved into or out of it."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """What the layer computes."""
        result: torch.Tensor = self.layer(x)
        return result


LAYOUTS: dict[str, BlockLayout] = {
    "GPT2Block": _GPT2,
    "LlamaDecoderLayer": _LLAMA,
    "MistralDecoderLayer": _LLAMA,
    "OPTDecoderLayer": _OPT,
    "Phi3DecoderLayer": _PHI3,
    "PhiDecoderLayer": _PHI,
    "Qwen2DecoderLayer": _LLAMA,
    "Qwen3DecoderLayer": _LLAMA,
}


def block_layout(block: nn.Module, method: str) -> BlockLayout:
    """The layout of a decoder block, for the ``method`` that an error names.

    Raises :class:`~fairopt.errors.InputError` for a block that is not in the table, or whose norms come after the
    residual sum (OPT-350m) so that nothing can be moved into them.
    """
    if isinstance(block, LoneLayer):
        return BlockLayout(folds=(), query_key=())
    name = type(block).__name__
    if name not in LAYOUTS:
        raise InputError(f"{method}: decoder block must be one of {', '.join(LAYOUTS)}, got {name}")
    if not getattr(block, "do_layer_norm_before", True):
        raise InputError(f"{method}: decoder block must normalise before its layers, got {name} that does so after")
    return LAYOUTS[name]


def folds_among(block: nn.Module, layout: BlockLayout, layers: Collection[str]) -> list[Fold]:
    """The folds that change nothing but ``layers`` and norms.

    A fold whose widths do not fit is none: with grouped queries a value feeds the columns of several heads, so v -> o
    is left out.
    """
    norms = layout.norms
    return [
        fold
        for fold in layout.folds
        if all(name in layers for name in fold.layers)
        and (fold in norms or fold.source in layers)
        and _source_rows(block, fold)[0].shape[0] == dense_weight(block.get_submodule(fold.layers[0])).shape[1]
    ]


def fold_scale(block: nn.Module, fold: Fold, scale: torch.Tensor) -> None:
    """Divide what the source writes by ``scale`` [K] and multiply the columns of the layers that read it, in place."""
    with torch.no_grad():
        for rows in _source_rows(block, fold):
            rows.div_(scale.reshape(-1, *[1] * (rows.dim() - 1)))
        for name in fold.layers:
            dense_weight(block.get_submodule(name)).mul_(scale)


def _source_rows(block: nn.Module, fold: Fold) -> list[torch.Tensor]:
    """Views of the source's weight and bias: the rows that write the inputs in question."""
    source = block.get_submodule(fold.source)
    is_linear = bool(linear_layers(source))
    weight, bias = source.weight, getattr(source, "bias", None)
    assert isinstance(weight, torch.Tensor)
    tensors = [dense_weight(source) if is_linear else weight.detach()]
    if isinstance(bias, torch.Tensor):
        tensors.append(bias.detach())
    index, parts = fold.part
    return [tensor.tensor_split(parts)[index] for tensor in tensors]
