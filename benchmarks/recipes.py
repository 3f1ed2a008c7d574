"""Every recipe on every layout of a decoder, through the two commands, and whether its bytes and zeros are true.

For each model and recipe: `fairopt compress` writes a folder, `fairopt audit` compares it with the model. The record's
bits per weight stand beside those counted here from the tensors of the safetensors files, the record's zeros beside
those counted in the weights that the folder loads, and the record's bytes beside the size of the files. A difference
beyond the files' headers, or an exit code that says neither ship nor hold nor inconclusive, ends the script with 1.

    python benchmarks/recipes.py --models MODELS --data DATA --out build/recipes.json
    python benchmarks/recipes.py --models MODELS --data DATA --set pruning --model TinyStories-656K --limit 64

The models are MODELS/TinyStories-656K and five of some 100 million random weights (Llama, Qwen2 and Mistral with
grouped-query attention, GPT-2, OPT), generated with its tokenizer; the recipes are those of recipes.json. About an
hour on two cores: --model and --recipe choose some, --layers 2 makes them small, and rows that the file of --out holds
are not run again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors
import torch
import transformers
from typer.testing import CliRunner

import fairopt
from fairopt.cli.app import app
from fairopt.nn import StoredLayer

RECIPES = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
SMALL = "TinyStories-656K"
GENERATED = ("llama", "gpt2", "opt", "qwen2", "mistral")
ENDS = {0: "ship", 1: "hold", 4: "inconclusive"}
HEAD = (
    "| model | recipe | MB before | MB after | files' headers | bits recorded | counted | of a key, value "
    "| weights kept | zeros recorded | counted | audit |"
)
HEADER = 400  # bytes that a safetensors header takes for one tensor at most: its name, type, shape and place


@dataclass
class Row:
    """One recipe on one model."""

    model: str
    recipe: str
    dense_bytes: int
    recorded_bytes: int
    file_bytes: int
    recorded_bits: float  # per weight of the compressed layers
    counted_bits: float
    kv_bits: float | None  # per key and value, as recorded
    kept: float  # parameters that neither a mask nor a removed structure took, over those of the model before
    recorded_zeros: float  # share of the weights of the compressed layers
    counted_zeros: float
    tensors: int
    audit: int  # exit code
    seconds: float

    @property
    def true(self) -> bool:
        """Whether the record says what lies on the disk."""
        header = self.file_bytes - self.recorded_bytes
        same = abs(self.recorded_bits - self.counted_bits) <= 1e-9 * self.recorded_bits
        same = same and abs(self.recorded_zeros - self.counted_zeros) <= 1e-9
        return same and 0 <= header <= HEADER * self.tensors + 4096


def generate(name: str, layers: int, folder: Path, tokenizer: Path) -> Path:
    """Random weights; 14 layers of GPT-2 and OPT, or 12 of the others, are 100 million parameters."""
    vocabulary = transformers.AutoTokenizer.from_pretrained(tokenizer)
    size = {"vocab_size": len(vocabulary), "bos_token_id": 1, "eos_token_id": 2}
    square = {
        "hidden_size": 768,
        "num_attention_heads": 12,
        "max_position_embeddings": 512,
        "num_hidden_layers": layers,
    }
    grouped = {**size, **square, "intermediate_size": 3072, "num_key_value_heads": 4}
    config = {
        "llama": lambda: transformers.LlamaConfig(**grouped),
        "qwen2": lambda: transformers.Qwen2Config(**grouped),
        "mistral": lambda: transformers.MistralConfig(**grouped, sliding_window=None),
        "opt": lambda: transformers.OPTConfig(**size, **square, ffn_dim=3072, word_embed_proj_dim=768),
        "gpt2": lambda: transformers.GPT2Config(**size, n_embd=768, n_head=12, n_positions=512, n_layer=layers),
    }[name]()
    torch.manual_seed(0)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    vocabulary.save_pretrained(folder)
    return folder


@dataclass
class Files:
    """What the tensors of a folder's files say by themselves."""

    bits: float  # a weight of the compressed layers, all that is stored of it but the bias
    tensors: int
    parameters: int  # weights of compressed layers once, and every other number


def counted(folder: Path, layers: dict[str, Any]) -> Files:
    """The tensors of the folder's files, ``layers`` being those of the record."""
    stored = others = tensors = 0
    for file in folder.glob("*.safetensors"):
        with safetensors.safe_open(file, "pt") as read:
            for name in read.keys():  # noqa: SIM118 - no mapping
                tensor, tensors = read.get_tensor(name), tensors + 1
                if name.rpartition(".")[0] not in layers or name.endswith(".bias"):
                    others += tensor.numel()
                elif not name.endswith(".input_scale"):
                    stored += tensor.nbytes
    weights = sum(rows * columns for rows, columns in (layer["shape"] for layer in layers.values()))
    return Files(8 * stored / max(1, weights), tensors, weights + others)


def zeros(folder: Path, layers: dict[str, Any]) -> float:
    """Share of zeros among the weights of ``layers`` as the folder loads them."""
    model, none, weights = fairopt.load(folder), 0, 0
    for name in layers:
        layer = model.get_submodule(name)
        weight = layer.dense_weight() if isinstance(layer, StoredLayer) else layer.weight
        none, weights = none + int((weight == 0).sum()), weights + weight.numel()
    return none / max(1, weights)


def kept(layers: dict[str, Any], files: Files, base: Path) -> float:
    """Share of the base's parameters that are still there: neither pruned by a mask nor in a structure removed."""
    pruned = [layer for layer in layers.values() if layer["kept"] is not None]
    masked = sum((1 - layer["kept"]) * layer["shape"][0] * layer["shape"][1] for layer in pruned)
    return (files.parameters - masked) / counted(base, {}).parameters


def run(*arguments: object, codes: tuple[int, ...] = (0,)) -> int:
    """The command line, in this process."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exit_code not in codes:
        raise SystemExit(f"fairopt {' '.join(map(str, arguments))}: exit code {result.exit_code}\n{result.output}")
    return result.exit_code


def measure(model: str, base: Path, recipe: str, options: argparse.Namespace, scratch: Path) -> Row:
    start = time.perf_counter()
    out, audit = scratch / "compressed", scratch / "audit"
    for folder in (out, audit):
        shutil.rmtree(folder, ignore_errors=True)
    texts = options.calibration or options.data / "tinyshakespeare" / "input.txt"
    sequences = ["--samples", options.samples, "--length", 128]
    run("compress", base, "--recipe", recipe, "--out", out, "--calibration", texts, *sequences)
    asked = ["--benchmark", "crows_pairs", "--data", options.data, "--limit", options.limit, "--base-runs", 2]
    code = run("audit", base, "--model", out, "--out", audit, *asked, codes=tuple(ENDS))
    record = json.loads((out / "fairopt.json").read_text(encoding="utf-8"))
    files = counted(out, record["layers"])
    return Row(
        model=model,
        recipe=recipe,
        dense_bytes=record["dense_bytes"],
        recorded_bytes=record["bytes"],
        file_bytes=sum(file.stat().st_size for file in out.glob("*.safetensors")),
        recorded_bits=record["bits_per_weight"],
        counted_bits=files.bits,
        kv_bits=record["kv_bits_per_value"],
        kept=kept(record["layers"], files, base),
        recorded_zeros=record["sparsity"],
        counted_zeros=zeros(out, record["layers"]),
        tensors=files.tensors,
        audit=code,
        seconds=time.perf_counter() - start,
    )


def rows(options: argparse.Namespace, done: set[tuple[str, str]]) -> Iterator[Row]:
    small = options.models / SMALL
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        for model in options.model or (SMALL, *GENERATED):
            recipes = [each for each in options.recipe or RECIPES[options.set] if (model, each) not in done]
            if not recipes:
                continue
            base = small
            if model != SMALL:
                layers = options.layers or (14 if model in ("gpt2", "opt") else 12)
                base = generate(model, layers, scratch / model, small)
            for recipe in recipes:
                yield measure(model, base, recipe, options, scratch)
            if base != small:
                shutil.rmtree(base)


def show(row: Row) -> None:
    print(
        f"| {row.model} | `{row.recipe}` | {row.dense_bytes / 1e6:.2f} | {row.recorded_bytes / 1e6:.2f} "
        f"| {row.file_bytes - row.recorded_bytes:,} B | {row.recorded_bits:.4f} | {row.counted_bits:.4f} "
        f"| {row.kv_bits or 32:.4g} | {row.kept:.1%} | {row.recorded_zeros:.4%} | {row.counted_zeros:.4%} "
        f"| {row.audit} ({ENDS[row.audit]}) |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, required=True, help=f"folder that holds {SMALL}")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds crows_pairs and tinyshakespeare")
    parser.add_argument("--calibration", type=Path, help="texts, default: tinyshakespeare")
    parser.add_argument("--samples", type=int, default=16, help="sequences of 128 tokens that calibrate")
    parser.add_argument("--model", action="append", choices=(SMALL, *GENERATED))
    parser.add_argument("--set", choices=RECIPES, default="quantization", help="which recipes")
    parser.add_argument("--recipe", action="append", help="repeatable; instead of those of --set")
    parser.add_argument("--layers", type=int)
    parser.add_argument("--limit", type=int, default=4, help="items of the audit")
    parser.add_argument("--out", type=Path, help="JSON of the rows, written after each; goes on where it ended")
    options = parser.parse_args()
    print(HEAD + "\n|" + "---|" * (HEAD.count("|") - 1), flush=True)
    found = []
    if options.out is not None and options.out.exists():
        found = [Row(**row) for row in json.loads(options.out.read_text(encoding="utf-8"))]
    for row in rows(options, {(row.model, row.recipe) for row in found}):
        show(row)
        found.append(row)
        if options.out is not None:
            options.out.parent.mkdir(parents=True, exist_ok=True)
            options.out.write_text(json.dumps([asdict(one) for one in found], indent=2) + "\n", encoding="utf-8")
    wrong = [f"{row.recipe} on {row.model}" for row in found if not row.true]
    if wrong:
        raise SystemExit(f"the record and the files differ: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
