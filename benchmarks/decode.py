"""Decoding with a quantised model on a CPU: ours beside bitsandbytes, torchao and llama.cpp, one process, turn by turn.

A Llama with random weights (1.0 billion in its linear layers by default) is quantised by each library. Every turn each
model continues the same prompt by the same tokens, one at a time, with a cache of keys and values; what counts is the
median over turns of the ratio of times. Errors are of the logits after the prompt, against the same model in float64
with the weights that the variant's codes say.

    python benchmarks/decode.py --out build/decode.json
    python benchmarks/decode.py --only fairopt/nf4 --only bitsandbytes     # these beside each other
    python benchmarks/decode.py --compile fairopt/int4/bfloat16      # one row more: this by torch.compile
    python benchmarks/decode.py --quick

Peers take part where they are installed. llama.cpp reads the files that `fo.export` writes: q4_0 with our codes.
"""

from __future__ import annotations

import argparse
import copy
import gc
import importlib.util
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import machine_limits
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import nn
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM, StaticCache

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


class Model(Protocol):
    """What is measured of a model."""

    def logits(self, prompt: torch.Tensor) -> torch.Tensor:
        """After the last of the tokens [1, t]."""

    def seconds(self, prompt: torch.Tensor, tokens: torch.Tensor) -> float:
        """A token of ``tokens``, once the prompt has been read."""


@dataclass
class Variant:
    """A model and what it is called."""

    name: str
    arithmetic: str
    model: Model
    bits: float  # of a weight in memory
    dense: Callable[[str], torch.Tensor]  # a layer's name -> its weight as it stands


class TransformersModel:
    """With a cache of keys and values in the type of the activations."""

    def __init__(self, model: Any) -> None:
        self.model = model

    @torch.no_grad()
    def logits(self, prompt: torch.Tensor) -> torch.Tensor:
        return self.model(prompt).logits[0, -1]

    @torch.no_grad()
    def seconds(self, prompt: torch.Tensor, tokens: torch.Tensor) -> float:
        cache = DynamicCache(config=self.model.config)
        self.model(prompt, past_key_values=cache)
        start = time.perf_counter()
        for token in tokens:
            self.model(token.view(1, 1), past_key_values=cache)
        return (time.perf_counter() - start) / len(tokens)


class CompiledModel:
    """The same model with a step of decoding as one graph of torch.compile, which needs a cache of a fixed length."""

    LENGTH = 64

    def __init__(self, model: Any) -> None:
        self.model, self.step = model, torch.compile(model, fullgraph=True)
        self.cache = StaticCache(config=model.config, max_cache_len=self.LENGTH)

    def logits(self, prompt: torch.Tensor) -> torch.Tensor:
        self._read(prompt[:, :-1])
        return self._step(prompt[:, -1:], prompt.shape[1] - 1)

    def seconds(self, prompt: torch.Tensor, tokens: torch.Tensor) -> float:
        self._read(prompt)
        start = time.perf_counter()
        for i, token in enumerate(tokens):
            self._step(token.view(1, 1), prompt.shape[1] + i)
        return (time.perf_counter() - start) / len(tokens)

    @torch.no_grad()
    def _read(self, prompt: torch.Tensor) -> None:
        self.cache.reset()
        self.model(prompt, past_key_values=self.cache)

    @torch.no_grad()
    def _step(self, token: torch.Tensor, position: int) -> torch.Tensor:
        positions = torch.tensor([[position]])
        return self.step(token, past_key_values=self.cache, position_ids=positions).logits[0, -1]


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
    arithmetic = f"{found[0].mode_for(dtype)}, {_text(dtype)}"

    def dense_weight(path: str) -> torch.Tensor:
        return model.get_submodule(path).dense_weight().double()

    return Variant(f"fairopt {recipe}", arithmetic, TransformersModel(model), bits, dense_weight)


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

    def dense_weight(path: str) -> torch.Tensor:
        return bnb.functional.dequantize_4bit(*dense[path]).double()

    return Variant("bitsandbytes nf4", _text(dtype), TransformersModel(model), 4.5, dense_weight)


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

    def dense_weight(path: str) -> torch.Tensor:
        stored = model.get_submodule(path).weight
        scale, zero = stored.scale_and_zero.double().permute(2, 1, 0)  # each [K / GROUP, N] -> [N, K / GROUP]
        return ((codes[path].double().unflatten(1, (-1, GROUP)) - 8) * scale[..., None] + zero[..., None]).flatten(1)

    return Variant("torchao int4", _text(dtype), TransformersModel(model), bits, dense_weight)


def tinygemm_codes(weight: torch.Tensor) -> torch.Tensor:
    """The codes that torchao packs out of sight: the same two of its functions, before it packs them."""
    from torchao.quantization import quant_primitives as primitives

    block, kind = [1, GROUP], primitives.MappingType.ASYMMETRIC
    scale, zero = primitives._choose_qparams_affine_tinygemm(
        weight, kind, block, torch.int32, 0, 15, 1e-6, None, weight.dtype
    )
    return primitives._quantize_affine_tinygemm(weight, block, scale, zero, torch.int32, 0, 15).to(torch.uint8)


def dense(base: Any, dtype: torch.dtype) -> Variant:
    model = copy.deepcopy(base).to(dtype)

    def dense_weight(path: str) -> torch.Tensor:
        return model.get_submodule(path).weight.detach().double()

    return Variant("dense", _text(dtype), TransformersModel(model), 8 * dtype.itemsize, dense_weight)


def llama_cpp(base: Any, kind: str, recipe: str) -> Variant:
    """A file that ``fo.export`` wrote; its arithmetic rounds activations to 8 bits in blocks."""
    import gguf
    from llama_cpp_model import LlamaCppModel, weight

    folder = tempfile.TemporaryDirectory()
    file = fo.export(fo.compress(base, recipe), Path(folder.name) / "model.gguf", f"gguf-{kind}")
    stored, heads = gguf.GGUFReader(file), (base.config.num_attention_heads, base.config.num_key_value_heads)
    model = LlamaCppModel(file)
    folder.cleanup()  # the file stays open until nobody reads it

    def dense_weight(path: str) -> torch.Tensor:
        return weight(stored, path, *heads)

    return Variant(f"llama.cpp {kind}", "int8 activations", model, 4.5, dense_weight)


@torch.no_grad()
def float64_logits(variant: Variant, base: Any, prompt: torch.Tensor) -> torch.Tensor:
    """Block by block: a float64 copy of the whole model would fill the memory."""
    hidden = base.model.embed_tokens(prompt).double()
    turns = base.model.rotary_emb(hidden, torch.arange(prompt.shape[1])[None])
    for i, block in enumerate(base.model.layers):
        exact = copy.deepcopy(block)
        for name, layer in layers(exact).items():
            weight = variant.dense(f"model.layers.{i}.{name}")
            layer.weight = nn.Parameter(weight.reshape(layer.weight.shape), requires_grad=False)
        hidden = exact.double()(hidden, position_embeddings=turns)
    hidden = copy.deepcopy(base.model.norm).double()(hidden)
    return hidden[0, -1] @ base.lm_head.weight.double().T


def contenders(base: Any) -> dict[str, Callable[[], Variant]]:
    """How to make ours, in both types of activations, and the peers that are installed."""
    types = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    recipes, made = {"int4": f"int4:g={GROUP}", "nf4": "nf4"}, {}
    for name, recipe in recipes.items():
        made |= {f"fairopt/{name}/{text}": partial(ours, base, recipe, dtype) for text, dtype in types.items()}
    made["fairopt/int4/float32/exact"] = partial(ours, base, recipes["int4"], torch.float32, "exact")
    made["dense"] = partial(dense, base, torch.bfloat16)
    for peer, name in ((bitsandbytes, "bitsandbytes/nf4/"), (torchao, "torchao/")):
        made |= {f"{name}{text}": partial(peer, base, dtype) for text, dtype in types.items()}
    for kind, recipe in {"q4_0": "int4:sym_signed8,g=32", "q4_k": "int8:g=32"}.items():
        made[f"llama_cpp/{kind}"] = partial(llama_cpp, base, kind, recipe)
    for peer in ("bitsandbytes", "torchao", "llama_cpp"):
        if importlib.util.find_spec(peer) is None:
            Console().print(f"without {peer}: it is not installed")
            made = {name: make for name, make in made.items() if not name.startswith(peer)}
    return made


def with_compiled(variant: Variant, compiled: bool) -> list[Variant]:
    if not (compiled and isinstance(variant.model, TransformersModel)):
        return [variant]
    graph = CompiledModel(variant.model.model)
    return [variant, replace(variant, name=f"{variant.name}, compiled", model=graph)]


def measured(arguments: argparse.Namespace) -> list[Row]:
    torch.manual_seed(0)
    base = LlamaForCausalLM(config(arguments.quick)).to(torch.bfloat16).eval()  # as checkpoints are stored
    prompt = torch.randint(base.config.vocab_size, (1, PROMPT))
    tokens = torch.randint(base.config.vocab_size, (arguments.tokens,))
    models, rows = [], []
    chosen = {name: make for name, make in contenders(base).items() if name.startswith(tuple(arguments.only))}
    exact: dict[str, torch.Tensor] = {}  # logits in float64 of the same codes, whatever multiplies them
    for name, make in track(chosen.items(), "building"):
        for variant in with_compiled(make(), name.startswith(tuple(arguments.compile))):
            models.append(variant.model)
            codes = "/".join(name.split("/")[:2])
            if codes not in exact:
                exact[codes] = float64_logits(variant, base, prompt)
            off = float((variant.model.logits(prompt).double() - exact[codes]).norm() / exact[codes].norm())
            rows.append(Row(variant.name, variant.arithmetic, variant.bits, 0.0, 0.0, off))
            del variant  # with the weights that only its error was for
    del base, make, chosen
    gc.collect()
    if arguments.wait:
        input("built: press Enter to measure")
    times: list[list[float]] = [[] for _ in models]
    for turn in track(range(arguments.turns), "turns"):
        order = range(len(models)) if turn % 2 == 0 else range(len(models))[::-1]
        for i in order:
            times[i].append(models[i].seconds(prompt, tokens))
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
    parser.add_argument(
        "--only", action="append", default=[], help="rows whose names so begin, e.g. fairopt/nf4, llama_cpp/q4_0"
    )
    parser.add_argument("--compile", action="append", default=[], help="rows that run compiled too, chosen likewise")
    parser.add_argument("--wait", action="store_true", help="measure when Enter is pressed, on a machine then quiet")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    arguments.only = arguments.only or [""]
    rows = measured(arguments)
    show(rows)
    if arguments.out is not None:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        found = {"machine": machine_limits.describe(), "rows": [asdict(row) for row in rows]}
        arguments.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
