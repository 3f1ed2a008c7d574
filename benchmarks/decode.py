"""Decoding with a quantised model on a CPU: ours beside bitsandbytes and torchao, one process, turn by turn.

A Llama with random weights (1.0 billion in its linear layers by default) is quantised by each library. Every turn each
model continues the same prompt by the same tokens, one at a time, with a cache of keys and values; what counts is the
median over turns of the ratio of times. Errors are of the logits after the prompt, against the same model in float64
with the weights that the variant's codes say.

    python benchmarks/decode.py --out build/decode.json
    python benchmarks/decode.py --quick

bitsandbytes and torchao take part where they are installed.
"""

from __future__ import annotations

import argparse
import copy
import gc
import importlib.util
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import machine_limits
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import nn
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM

import fairopt as fo
from fairopt.nn import QuantizedLinear

PROMPT = 16
GROUP = 128  # weights a scale, int4


@dataclass
class Row:
    """One way of keeping the weights."""

    name: str
    arithmetic: str
    bits: float  # of a weight in memory
    milliseconds: float  # a token, median
    ratio: float  # time of this row / time of ours in the default mode, median over turns
    error: float  # of the logits, relative to the float64 reference


@dataclass
class Variant:
    """A model and what it is called."""

    name: str
    arithmetic: str
    model: Any
    bits: float  # of a weight in memory
    dense: Callable[[str, nn.Module], torch.Tensor]  # a layer's name and module -> its weight as it stands


def config(quick: bool) -> LlamaConfig:
    """Llama 3.2 1B's layers; a smaller vocabulary, because heads stay dense everywhere."""
    size = {"hidden_size": 512, "intermediate_size": 1536, "num_hidden_layers": 2} if quick else {}
    large = {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16}
    return LlamaConfig(
        **(size or large), num_attention_heads=16, num_key_value_heads=4, vocab_size=16384, tie_word_embeddings=True,
        max_position_embeddings=2048,
    )  # fmt: skip


def layers(model: nn.Module) -> dict[str, nn.Linear]:
    """The linear layers that every library quantises."""
    return {n: m for n, m in model.named_modules() if type(m) is nn.Linear and n != "lm_head"}


def ours(base: Any, recipe: str, dtype: torch.dtype, mode: str | None = None) -> Variant:
    model = fo.compress(base, recipe).to(dtype)
    found = [module for module in model.modules() if isinstance(module, QuantizedLinear)]
    fo.nn.set_matmul_mode(model, mode)
    bits = 8 * sum(m.packed.numel() for m in found) / sum(m.in_features * m.out_features for m in found)
    name = f"fairopt {recipe}"
    return Variant(name, f"{found[0].mode}, {_text(dtype)}", model, bits, lambda _, m: m.dense_weight().double())


def bitsandbytes(base: Any, dtype: torch.dtype) -> Variant:
    import bitsandbytes as bnb

    model = copy.deepcopy(base).to(dtype)
    dense = {}
    for name, layer in layers(base).items():
        made = bnb.nn.Linear4bit(
            layer.in_features, layer.out_features, bias=False, compute_dtype=dtype, quant_type="nf4"
        )
        made.load_state_dict({"weight": layer.weight.detach()})
        made = made.to("cpu").eval()  # it packs itself for the CPU's kernel only outside training
        dense[name] = (made.weight.data.clone(), copy.deepcopy(made.weight.quant_state))
        model.set_submodule(name, made)
    functional = bnb.functional
    return Variant(
        "bitsandbytes nf4", _text(dtype), model, 4.5, lambda n, _: functional.dequantize_4bit(*dense[n]).double()
    )


def torchao(base: Any, dtype: torch.dtype) -> Variant:
    """Its int4 for CPUs, in its fastest form: the kernel is torch's int4pack."""
    from torchao.prototype.quantization.int4 import PrototypeInt4WeightOnlyConfig
    from torchao.quantization import quantize_

    model = copy.deepcopy(base).to(dtype)
    taken = layers(model)
    codes = {name: tinygemm_codes(layer.weight.detach()) for name, layer in taken.items()}
    quantize_(model, PrototypeInt4WeightOnlyConfig(group_size=GROUP), filter_fn=lambda _, name: name in taken)
    weights = [model.get_submodule(name).weight for name in taken]
    stored = sum(part.nbytes for weight in weights for part in (weight.qdata, weight.scale_and_zero))
    bits = 8 * stored / sum(weight.numel() for weight in weights)

    def dense_weight(name: str, layer: nn.Module) -> torch.Tensor:
        scale, zero = layer.weight.scale_and_zero.double().permute(2, 1, 0)  # each [K / GROUP, N] -> [N, K / GROUP]
        return ((codes[name].double().unflatten(1, (-1, GROUP)) - 8) * scale[..., None] + zero[..., None]).flatten(1)

    return Variant("torchao int4", _text(dtype), model, bits, dense_weight)


def tinygemm_codes(weight: torch.Tensor) -> torch.Tensor:
    """The codes that torchao packs out of sight: the same two of its functions, before it packs them."""
    from torchao.quantization import quant_primitives as primitives

    block, kind = [1, GROUP], primitives.MappingType.ASYMMETRIC
    scale, zero = primitives._choose_qparams_affine_tinygemm(
        weight, kind, block, torch.int32, 0, 15, 1e-6, None, weight.dtype
    )
    return primitives._quantize_affine_tinygemm(weight, block, scale, zero, torch.int32, 0, 15).to(torch.uint8)


def dense(base: Any, dtype: torch.dtype) -> Variant:
    bits = 8 * torch.empty(0, dtype=dtype).element_size()
    return Variant("dense", _text(dtype), copy.deepcopy(base).to(dtype), bits, lambda _, m: m.weight.detach().double())


@torch.no_grad()
def error(variant: Variant, base: Any, prompt: torch.Tensor) -> float:
    """Of the logits at the last token, relative in the Euclidean norm, against float64 with the same weights."""
    expected = float64_logits(variant, base, prompt)
    found = variant.model(prompt).logits[0, -1].double()
    return float((found - expected).norm() / expected.norm())


def float64_logits(variant: Variant, base: Any, prompt: torch.Tensor) -> torch.Tensor:
    """Block by block: a float64 copy of the whole model would fill the memory."""
    hidden = base.model.embed_tokens(prompt).double()
    turns = base.model.rotary_emb(hidden, torch.arange(prompt.shape[1])[None])
    for i, block in enumerate(base.model.layers):
        exact = copy.deepcopy(block).double()
        for name, layer in layers(exact).items():
            path = f"model.layers.{i}.{name}"
            weight = variant.dense(path, variant.model.get_submodule(path))
            layer.weight = nn.Parameter(weight.reshape(layer.weight.shape), requires_grad=False)
        hidden = exact(hidden, position_embeddings=turns)
    hidden = copy.deepcopy(base.model.norm).double()(hidden)
    return hidden[0, -1] @ base.lm_head.weight.double().T


@torch.no_grad()
def decode(model: Any, prompt: torch.Tensor, tokens: torch.Tensor) -> float:
    """Seconds a token, once the prompt has been read."""
    cache = DynamicCache(config=model.config)
    model(prompt, past_key_values=cache)
    start = time.perf_counter()
    for token in tokens:
        model(token.view(1, 1), past_key_values=cache)
    return (time.perf_counter() - start) / len(tokens)


def contenders(base: Any, only: str | None) -> list[Callable[[], Variant]]:
    """How to make ours, in both types of activations, and the peers that are installed; or the first and one peer."""
    made: list[Callable[[], Variant]] = [
        partial(ours, base, f"int4:g={GROUP}", torch.float32),
        partial(ours, base, f"int4:g={GROUP}", torch.bfloat16),
        partial(ours, base, f"int4:g={GROUP}", torch.float32, "exact"),
        partial(ours, base, "nf4", torch.float32),
        partial(ours, base, "nf4", torch.bfloat16),
        partial(dense, base, torch.bfloat16),
    ]
    made = made if only is None else made[:1]
    for peer in (bitsandbytes, torchao):
        if only not in (None, peer.__name__):
            continue
        if importlib.util.find_spec(peer.__name__) is None:
            Console().print(f"without {peer.__name__}: it is not installed")
        else:
            made += [partial(peer, base, torch.bfloat16), partial(peer, base, torch.float32)]
    return made


def measured(quick: bool, turns: int, count: int, wait: bool, only: str | None) -> list[Row]:
    torch.manual_seed(0)
    base = LlamaForCausalLM(config(quick)).to(torch.bfloat16).eval()  # as checkpoints are stored
    prompt = torch.randint(base.config.vocab_size, (1, PROMPT))
    tokens = torch.randint(base.config.vocab_size, (count,))
    models, rows = [], []
    for make in track(contenders(base, only), "building"):
        variant = make()
        models.append(variant.model)
        rows.append(Row(variant.name, variant.arithmetic, variant.bits, 0.0, 0.0, error(variant, base, prompt)))
        del variant  # with the weights that only its error was for
    del base, make
    gc.collect()
    if wait:
        input("built: press Enter to measure")
    times: list[list[float]] = [[] for _ in models]
    for turn in track(range(turns), "turns"):
        order = range(len(models)) if turn % 2 == 0 else range(len(models))[::-1]
        for i in order:
            times[i].append(decode(models[i], prompt, tokens))
    for row, own in zip(rows, times, strict=True):
        row.milliseconds = 1e3 * statistics.median(own)
        row.ratio = statistics.median(a / b for a, b in zip(own, times[0], strict=True))
    return rows


def _text(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def show(rows: list[Row]) -> None:
    table = Table("weights", "arithmetic", "bits", "ms a token", "time / first row", "error of logits")
    for row in rows:
        table.add_row(
            row.name,
            row.arithmetic,
            f"{row.bits:.2f}",
            f"{row.milliseconds:.1f}",
            f"{row.ratio:.2f}",
            f"{row.error:.1e}",
        )
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a model of 10 million weights: only to see that it runs")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--tokens", type=int, default=8)
    parser.add_argument("--only", choices=["bitsandbytes", "torchao"], help="beside the first of ours, this peer alone")
    parser.add_argument("--wait", action="store_true", help="measure when Enter is pressed, on a machine then quiet")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    rows = measured(arguments.quick, arguments.turns, arguments.tokens, arguments.wait, arguments.only)
    show(rows)
    if arguments.out is not None:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        found = {"machine": machine_limits.describe(), "rows": [asdict(row) for row in rows]}
        arguments.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
