"""Which axes of which tensors belong together: one row for each kind of decoder block.

A row gives, for each module that holds a weight, what the axes of the weight count, as [out, in]:

    "self_attn.q_proj": "heads hidden"       rows belong to query heads, columns to channels of the residual stream
    "attn.c_attn": "heads+heads+heads hidden"    three equal parts along the rows: queries, keys, values
    "input_layernorm": "hidden"

A bias goes with the first axis. A parameter that is not called weight or bias stands under its own name. Dimensions:
``hidden`` channels of the residual stream, ``heads`` of queries, ``kv_heads`` of keys and values, ``ffn`` neurons
(``expert_ffn`` those of each expert, ``shared_ffn`` of the one that sees every token), ``experts``. Any other word is
an axis that is never cut. docs/architectures.md says how to add a row, and
:func:`fairopt.compress.structure.prove.prove` proves it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import nn

from fairopt.errors import InputError

CONFIG = {
    "hidden": ("hidden_size",),
    "heads": ("num_attention_heads",),
    "kv_heads": ("num_key_value_heads",),
    "ffn": ("intermediate_size",),
    "layers": ("num_hidden_layers",),
}


@dataclass(frozen=True)
class Family:
    """One row of the table."""

    block: Mapping[str, str]  # module within a decoder block -> its axes
    model: Mapping[str, str]  # module outside the blocks, by the end of its name -> its axes
    config: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: CONFIG)  # dimension -> names in the config
    # Dimension -> attributes in proportion to it: of a block, of the experts for expert_ffn and shared_ffn.
    numbers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    head_dim_in_config: bool = True  # whether the config can say it; else it is hidden_size / num_attention_heads
    heads_may_differ: bool = True  # whether blocks may keep different numbers: not where code reads it from the config


_QKVO = {
    "self_attn.q_proj": "heads hidden",
    "self_attn.k_proj": "kv_heads hidden",
    "self_attn.v_proj": "kv_heads hidden",
    "self_attn.o_proj": "hidden heads",
}
_QK_NORM = {"self_attn.q_norm": "head_dim", "self_attn.k_norm": "head_dim"}
_TWO_NORMS = {"input_layernorm": "hidden", "post_attention_layernorm": "hidden"}
_GATED = {"mlp.gate_proj": "ffn hidden", "mlp.up_proj": "ffn hidden", "mlp.down_proj": "hidden ffn"}
_ENDS = {
    "embed_tokens": "vocabulary hidden",
    "norm": "hidden",
    "lm_head": "vocabulary hidden",
    "score": "labels hidden",
}
_ATTENTION_NUMBERS = {"hidden": ("hidden_size", "mlp.hidden_size"), "ffn": ("mlp.intermediate_size",)}

LLAMA = Family({**_QKVO, **_QK_NORM, **_GATED, **_TWO_NORMS}, _ENDS, numbers=_ATTENTION_NUMBERS)
# The embedding of Gemma is multiplied by sqrt(hidden_size): a config with another size would compute another model.
GEMMA = Family(
    {
        **LLAMA.block,
        "pre_feedforward_layernorm": "hidden",
        "post_feedforward_layernorm": "hidden",
    },
    _ENDS,
    config={name: keys for name, keys in CONFIG.items() if name != "hidden"},
    numbers=_ATTENTION_NUMBERS,
)
PHI = Family(
    {
        **{name: axes for name, axes in _QKVO.items() if name != "self_attn.o_proj"},
        "self_attn.dense": "hidden heads",
        "self_attn.q_layernorm": "head_dim",
        "self_attn.k_layernorm": "head_dim",
        "mlp.fc1": "ffn hidden",
        "mlp.fc2": "hidden ffn",
        "input_layernorm": "hidden",
    },
    {**_ENDS, "final_layernorm": "hidden"},
)
PHI3 = Family(
    {
        "self_attn.qkv_proj": "heads+kv_heads+kv_heads hidden",
        "self_attn.o_proj": "hidden heads",
        "mlp.gate_up_proj": "ffn+ffn hidden",
        "mlp.down_proj": "hidden ffn",
        **_TWO_NORMS,
    },
    _ENDS,
    numbers={"heads": ("self_attn.num_key_value_heads",)},
    heads_may_differ=False,
)
GPT2 = Family(
    {
        "attn.c_attn": "heads+heads+heads hidden",
        "attn.c_proj": "hidden heads",
        "mlp.c_fc": "ffn hidden",
        "mlp.c_proj": "hidden ffn",
        "ln_1": "hidden",
        "ln_2": "hidden",
    },
    {
        "wte": "vocabulary hidden",
        "wpe": "positions hidden",
        "ln_f": "hidden",
        "lm_head": "vocabulary hidden",
        "score": "labels hidden",
    },
    config={**CONFIG, "ffn": ("n_inner",)},
    numbers={"heads": ("attn.num_heads", "attn.split_size"), "hidden": ("attn.embed_dim",)},
    head_dim_in_config=False,
)
OPT = Family(
    {
        "self_attn.q_proj": "heads hidden",
        "self_attn.k_proj": "heads hidden",
        "self_attn.v_proj": "heads hidden",
        "self_attn.out_proj": "hidden heads",
        "fc1": "ffn hidden",
        "fc2": "hidden ffn",
        "self_attn_layer_norm": "hidden",
        "final_layer_norm": "hidden",
    },
    {
        "embed_tokens": "vocabulary hidden",
        "embed_positions": "positions hidden",
        "final_layer_norm": "hidden",
        "lm_head": "vocabulary hidden",
        "score": "labels hidden",
    },
    config={**CONFIG, "hidden": ("hidden_size", "word_embed_proj_dim"), "ffn": ("ffn_dim",)},
    numbers={"heads": ("self_attn.num_heads",), "hidden": ("embed_dim", "self_attn.embed_dim")},
    head_dim_in_config=False,
)
GPT_NEOX = Family(
    {
        "attention.query_key_value": "heads hidden",  # query, key and value of a head lie together
        "attention.dense": "hidden heads",
        "mlp.dense_h_to_4h": "ffn hidden",
        "mlp.dense_4h_to_h": "hidden ffn",
        **_TWO_NORMS,
    },
    {
        "embed_in": "vocabulary hidden",
        "final_layer_norm": "hidden",
        "lm_head": "vocabulary hidden",
        "embed_out": "vocabulary hidden",
        "score": "labels hidden",
    },
    head_dim_in_config=False,
)
BERT = Family(
    {
        "attention.self.query": "heads hidden",
        "attention.self.key": "heads hidden",
        "attention.self.value": "heads hidden",
        "attention.output.dense": "hidden heads",
        "attention.output.LayerNorm": "hidden",
        "intermediate.dense": "ffn hidden",
        "output.dense": "hidden ffn",
        "output.LayerNorm": "hidden",
    },
    {
        "word_embeddings": "vocabulary hidden",
        "position_embeddings": "positions hidden",
        "token_type_embeddings": "types hidden",
        "LayerNorm": "hidden",
        "pooler.dense": "hidden hidden",
        "transform.dense": "hidden hidden",
        "predictions": "vocabulary",
        "decoder": "vocabulary hidden",
        "classifier": "labels hidden",
        "seq_relationship": "labels hidden",
        "qa_outputs": "labels hidden",
        "lm_head": "vocabulary",  # RoBERTa's head: a bias of its own beside its layers
        "lm_head.dense": "hidden hidden",
        "lm_head.layer_norm": "hidden",
    },
    numbers={"heads": ("attention.self.num_attention_heads", "attention.self.all_head_size")},
    head_dim_in_config=False,
)
DISTILBERT = Family(
    {
        "attention.q_lin": "heads hidden",
        "attention.k_lin": "heads hidden",
        "attention.v_lin": "heads hidden",
        "attention.out_lin": "hidden heads",
        "ffn.lin1": "ffn hidden",
        "ffn.lin2": "hidden ffn",
        "sa_layer_norm": "hidden",
        "output_layer_norm": "hidden",
    },
    {
        "word_embeddings": "vocabulary hidden",
        "position_embeddings": "positions hidden",
        "LayerNorm": "hidden",
        "vocab_transform": "hidden hidden",
        "vocab_layer_norm": "hidden",
        "vocab_projector": "vocabulary hidden",
        "pre_classifier": "hidden hidden",
        "classifier": "labels hidden",
        "qa_outputs": "labels hidden",
    },
    config={**CONFIG, "ffn": ("hidden_dim",)},
    numbers={"heads": ("attention.n_heads", "attention.dim")},
    head_dim_in_config=False,
)
_MOE = {
    **_QKVO,
    **_QK_NORM,
    **_TWO_NORMS,
    "mlp.gate": "experts hidden",
    "mlp.experts.gate_up_proj": "experts expert_ffn+expert_ffn hidden",
    "mlp.experts.down_proj": "experts hidden expert_ffn",
}
_MOE_NUMBERS = {
    "ffn": ("mlp.intermediate_size",),
    "expert_ffn": ("intermediate_dim",),
    "shared_ffn": ("intermediate_size",),
    "experts": ("mlp.experts.num_experts", "mlp.gate.num_experts"),
    "hidden": ("hidden_size", "mlp.experts.hidden_dim", "mlp.gate.hidden_dim"),
}
MIXTRAL = Family(
    _MOE,
    _ENDS,
    config={**CONFIG, "experts": ("num_local_experts",), "expert_ffn": ("intermediate_size",)},
    numbers=_MOE_NUMBERS,
)
QWEN_MOE = Family(
    {
        **_MOE,
        **_GATED,  # layers of `mlp_only_layers`
        "mlp.shared_expert.gate_proj": "shared_ffn hidden",
        "mlp.shared_expert.up_proj": "shared_ffn hidden",
        "mlp.shared_expert.down_proj": "hidden shared_ffn",
        "mlp.shared_expert_gate": "one hidden",
    },
    _ENDS,
    config={
        **CONFIG,
        "experts": ("num_experts",),
        "expert_ffn": ("moe_intermediate_size",),
        "shared_ffn": ("shared_expert_intermediate_size",),
    },
    numbers=_MOE_NUMBERS,
)

FAMILIES: dict[str, Family] = {
    "BertLayer": BERT,
    "GPT2Block": GPT2,
    "GPTNeoXLayer": GPT_NEOX,
    "Gemma2DecoderLayer": GEMMA,
    "Gemma3DecoderLayer": GEMMA,
    "GemmaDecoderLayer": GEMMA,
    "LlamaDecoderLayer": LLAMA,
    "MistralDecoderLayer": LLAMA,
    "MixtralDecoderLayer": MIXTRAL,
    "OPTDecoderLayer": OPT,
    "Phi3DecoderLayer": PHI3,
    "PhiDecoderLayer": PHI,
    "Qwen2DecoderLayer": LLAMA,
    "Qwen2MoeDecoderLayer": QWEN_MOE,
    "Qwen3DecoderLayer": LLAMA,
    "Qwen3MoeDecoderLayer": QWEN_MOE,
    "RobertaLayer": BERT,
    "TransformerBlock": DISTILBERT,
    "XLMRobertaLayer": BERT,
}


def residual_writers(block: nn.Module) -> list[str]:
    """Layers of a decoder block whose outputs are added to the residual stream."""
    return [name for name, axes in family_of(block).block.items() if axes.startswith("hidden ")]


def family_of(block: nn.Module) -> Family:
    """The row of a decoder block; :class:`~fairopt.errors.InputError` for one that has none."""
    name = type(block).__name__
    if name not in FAMILIES:
        raise InputError(
            f"structure: decoder block must be one of {', '.join(sorted(FAMILIES))}, got {name} (to add it, write its"
            " row in compress/structure/families.py: docs/architectures.md)"
        )
    return FAMILIES[name]
