"""Every quantisation recipe on every layout of a decoder, through the two commands, and whether its bytes are true.

For each model and recipe: `fairopt compress` writes a folder, `fairopt audit` compares it with the model. The record's
bits per weight stand beside those counted here from the tensors of the safetensors files, and the record's bytes beside
the size of the files. A difference beyond the files' headers, or an exit code that says neither ship nor hold nor
inconclusive, ends the script with 1.

    python benchmarks/recipes.py --models MODELS --data DATA --out build/recipes.json

The models are MODELS/TinyStories-656K and five of some 100 million random weights (Llama, Qwen2 and Mistral with
grouped-query attention, GPT-2, OPT), generated with its tokenizer. About an hour on two cores; --model and --recipe
choose some, --layers 2 makes them small.
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

from fairopt.cli.app import app

RECIPES = (
    "int8",
    "int4",
    "int4:g=32,asym",
    "nf4",
    "nf4:block=64,dq",
    "fp4",
    "int3",
    "gptq:int4,g=32",
    "awq:int4,g=32",
    "hqq:int4",
    "smoothquant:w8a8",
    "kv4",
    "int4+kv4",
)
SMALL = "TinyStories-656K"
GENERATED = ("llama", "gpt2", "opt", "qwen2", "mistral")
ENDS = {0: "ship", 1: "hold", 4: "inconclusive"}
HEAD = "| model | recipe | MB before | MB after | files' headers | bits recorded | counted | of a key, value | audit |"
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
    tensors: int
    audit: int  # exit code
    seconds: float

    @property
    def true(self) -> bool:
        """Whether the record says what lies on the disk."""
        header = self.file_bytes - self.recorded_bytes
        same = abs(self.recorded_bits - self.counted_bits) <= 1e-9 * self.recorded_bits
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


def counted(folder: Path, layers: dict[str, Any]) -> tuple[float, int]:
    """Bits a weight over the compressed layers, from the tensors of the files alone, and how many tensors there are."""
    bytes_of: dict[str, int] = {}
    for file in folder.glob("*.safetensors"):
        with safetensors.safe_open(file, "pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118 - no mapping
                bytes_of[name] = tensors.get_tensor(name).nbytes
    stored = sum(
        size
        for name, size in bytes_of.items()
        if name.rpartition(".")[0] in layers and not name.endswith((".bias", ".input_scale"))
    )
    weights = sum(rows * columns for rows, columns in (layer["shape"] for layer in layers.values()))
    return 8 * stored / max(1, weights), len(bytes_of)


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
    run("compress", base, "--recipe", recipe, "--out", out, "--calibration", texts, "--samples", 16, "--length", 128)
    asked = ["--benchmark", "crows_pairs", "--data", options.data, "--limit", 4, "--base-runs", 2]
    code = run("audit", base, "--model", out, "--out", audit, *asked, codes=tuple(ENDS))
    record = json.loads((out / "fairopt.json").read_text(encoding="utf-8"))
    bits, tensors = counted(out, record["layers"])
    return Row(
        model=model,
        recipe=recipe,
        dense_bytes=record["dense_bytes"],
        recorded_bytes=record["bytes"],
        file_bytes=sum(file.stat().st_size for file in out.glob("*.safetensors")),
        recorded_bits=record["bits_per_weight"],
        counted_bits=bits,
        kv_bits=record["kv_bits_per_value"],
        tensors=tensors,
        audit=code,
        seconds=time.perf_counter() - start,
    )


def rows(options: argparse.Namespace) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        for model in options.model or (SMALL, *GENERATED):
            small = options.models / SMALL
            base = small
            if model != SMALL:
                layers = options.layers or (14 if model in ("gpt2", "opt") else 12)
                base = generate(model, layers, scratch / model, small)
            for recipe in options.recipe or RECIPES:
                yield measure(model, base, recipe, options, scratch)
            if base != small:
                shutil.rmtree(base)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, required=True, help=f"folder that holds {SMALL}")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds crows_pairs and tinyshakespeare")
    parser.add_argument("--calibration", type=Path, help="texts, default: tinyshakespeare")
    parser.add_argument("--model", action="append", choices=(SMALL, *GENERATED))
    parser.add_argument("--recipe", action="append")
    parser.add_argument("--layers", type=int)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    print(HEAD + "\n|" + "---|" * (HEAD.count("|") - 1), flush=True)
    found = []
    for row in rows(options):
        found.append(row)
        header = row.file_bytes - row.recorded_bytes
        print(
            f"| {row.model} | `{row.recipe}` | {row.dense_bytes / 1e6:.2f} | {row.recorded_bytes / 1e6:.2f} "
            f"| {header:,} B | {row.recorded_bits:.4f} | {row.counted_bits:.4f} | {row.kv_bits or 32:.4g} "
            f"| {row.audit} ({ENDS[row.audit]}) |",
            flush=True,
        )
        if options.out is not None:
            options.out.parent.mkdir(parents=True, exist_ok=True)
            options.out.write_text(json.dumps([asdict(one) for one in found], indent=2) + "\n", encoding="utf-8")
    wrong = [f"{row.recipe} on {row.model}" for row in found if not row.true]
    if wrong:
        raise SystemExit(f"the record and the files differ: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
