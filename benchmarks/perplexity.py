"""Perplexity of compressed models on text they were not calibrated on, beside their size.

The text is the model's own: stories it writes at temperature 1, which it knows better than any corpus at hand, or the
documents of a file. Half of them calibrate, the other half judge; recipes that look at no activations ignore the first.
The ratio of a recipe's perplexity to the dense model's is paired: same tokens; its interval is a bootstrap over
documents.

    python benchmarks/perplexity.py MODELS/TinyStories-656K --out build/perplexity.json
    python benchmarks/perplexity.py MODELS/TinyStories-656K --set pruning --out build/pruning.json
    python benchmarks/perplexity.py MODELS/TinyStories-656K --set structures --out build/structures.json
    python benchmarks/perplexity.py MODEL --texts stories.jsonl --recipe int3:g=32 --recipe gptq:int3,g=32
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import track

import fairopt
from fairopt.compress.calibration import read_documents
from fairopt.models.loading import load_model

SOLVERS = ("", "mse", "gptq", "awq", "hqq", "signround")
QUANTIZATION = [
    *(f"{solver}:int{bits},g=32" if solver else f"int{bits}:g=32" for bits in (4, 3) for solver in SOLVERS),
    *(f"gptq:int{bits},g=32,act_order={order}" for bits in (4, 3) for order in ("none", "dynamic")),
    *("nf4:block=32", "gptq:nf4,block=32"),
]
PRUNING = [
    *(f"{pruner}:0.5" for pruner in ("random", "magnitude", "wanda", "sparsegpt")),
    *("magnitude:0.5,scope=row", "magnitude:0.5,scope=model", "wanda:0.5,owl", "wanda:0.5,steps=4"),
    *("gblm:0.5", "hgla:0.5", "taylor:0.5", "taylor:0.5,order=2", "fisher:0.5", "fisher:0.5,steps=4"),
    *(f"{pruner}:{amount}" for amount in ("2:4", "4:8") for pruner in ("magnitude", "wanda", "sparsegpt")),
    *(
        f"{pruner}:0.{tenth}"
        for tenth in (1, 2, 3, 4, 6, 7)
        for pruner in ("random", "magnitude", "wanda", "sparsegpt")
    ),
    *("wanda:0.5+int4:g=32", "sparsegpt:0.5+int4:g=32", "wanda:2:4+int4:g=32", "sparsegpt:2:4+int4:g=32"),
]
STRUCTURES = [
    *(
        f"{unit}:{share}:{score}"
        for unit, shares in (("ffn", (0.1, 0.25, 0.5)), ("heads", (0.25, 0.5)), ("hidden", (0.1, 0.25)))
        for share in shares
        for score in ("random", "l2", "act", "taylor", "taylor2", *(["output"] if unit != "hidden" else []))
    ),
    *(f"{step},correct" for step in ("ffn:0.25:random", "ffn:0.25", "ffn:0.5", "heads:0.25")),
    *("heads:0.25:knockout", "layers:1", "layers:1:knockout", "heads:0.25,correct+ffn:0.25,correct"),
]
RECIPES = {"quantization": QUANTIZATION, "pruning": PRUNING, "structures": STRUCTURES}


@dataclass(frozen=True)
class Row:
    """One recipe on the held-out documents."""

    recipe: str
    bits_per_weight: float
    sparsity: float  # share of weights that are zero
    bytes: int  # of the whole model as stored
    perplexity: float
    ratio: float  # to the dense model
    low: float  # 95 % interval of the ratio, of structures drawn at random the least and the most of ten draws
    high: float
    seconds: float  # of compressing and judging


def main() -> None:
    arguments = parse_arguments()
    loaded = load_model(arguments.model)
    documents = (
        [loaded.tokenizer(text)["input_ids"][: arguments.length] for text in read_documents(arguments.texts)]
        if arguments.texts
        else write_stories(loaded, arguments.documents, arguments.length, arguments.seed)
    )
    documents = [ids for ids in documents if len(ids) > 1]
    calibration, held_out = documents[::2], documents[1::2]
    dense, tokens = log_likelihoods(loaded.model, held_out)
    print(f"{len(calibration)} documents to calibrate on, {len(held_out)} of {tokens.sum():,} tokens to judge by")
    size = sum(parameter.numel() * parameter.element_size() for parameter in loaded.model.parameters())
    rows = [Row("dense", 32.0, 0.0, size, perplexity(dense, tokens), 1.0, 1.0, 1.0, 0.0)]
    for recipe in track(arguments.recipe or RECIPES[arguments.set], description="recipes"):
        start, draws = time.perf_counter(), []
        for seed in range(arguments.seed, arguments.seed + draws_of(recipe)):
            model = fairopt.compress(loaded.model, recipe, calibration=calibration, seed=seed)
            draws.append(log_likelihoods(model, held_out)[0])
        seconds = (time.perf_counter() - start) / len(draws)
        ratios = [perplexity(found, tokens) / rows[0].perplexity for found in draws]
        ratio, low, high = float(np.mean(ratios)), min(ratios), max(ratios)
        if len(draws) == 1:
            low, high = ratio_interval(dense - draws[0], tokens, arguments.seed)
        record, value = fairopt.record(model), ratio * rows[0].perplexity
        size = record.bits_per_weight, record.sparsity, record.bytes
        rows.append(Row(recipe, *size, value, ratio, low, high, seconds))
    print_table(rows)
    if arguments.out:
        about = {"model": arguments.model, "tokens": int(tokens.sum()), "seed": arguments.seed}
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps({**about, "rows": [asdict(row) for row in rows]}, indent=2) + "\n")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="folder of a causal language model")
    parser.add_argument("--texts", type=Path, help="documents (*.txt, *.jsonl, *.parquet) instead of its own stories")
    parser.add_argument("--documents", type=int, default=256, help="stories to write")
    parser.add_argument("--length", type=int, default=256, help="tokens of a document at most")
    parser.add_argument("--recipe", action="append", help="repeatable; instead of those of --set")
    parser.add_argument("--set", choices=RECIPES, default="quantization", help="which recipes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="JSON to write")
    return parser.parse_args()


def draws_of(recipe: str) -> int:
    """Ten where units are drawn at random: one says little of chance."""
    return 10 if ":random" in recipe else 1


def write_stories(loaded: Any, documents: int, length: int, seed: int) -> list[list[int]]:
    """Token ids of what the model writes from its first token on, each up to its end."""
    torch.manual_seed(seed)
    first, end = loaded.tokenizer.bos_token_id, loaded.tokenizer.eos_token_id
    stories: list[list[int]] = []
    for _ in track(range(0, documents, 64), description="stories"):
        start = torch.full((min(64, documents - len(stories)), 1), first, device=loaded.model.device)
        with torch.no_grad():
            written = loaded.model.generate(
                start, do_sample=True, top_k=0, max_new_tokens=length - 1, pad_token_id=end, eos_token_id=end
            )
        for ids in written.tolist():
            stories.append(ids[: ids.index(end) + 1] if end in ids[1:] else ids)
    return stories


def log_likelihoods(model: Any, documents: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Nats and predicted tokens of each document."""
    nats = []
    with torch.no_grad():
        for ids in documents:
            tokens = torch.tensor([ids])
            logits = model(tokens).logits[0, :-1].float()
            nats.append(-torch.nn.functional.cross_entropy(logits, tokens[0, 1:], reduction="sum").item())
    return np.array(nats), np.array([len(ids) - 1 for ids in documents])


def perplexity(nats: np.ndarray, tokens: np.ndarray) -> float:
    return float(np.exp(-nats.sum() / tokens.sum()))


def ratio_interval(lost: np.ndarray, tokens: np.ndarray, seed: int) -> tuple[float, float]:
    """95 % percentile bootstrap over documents of the ratio of two perplexities on the same tokens."""
    drawn = np.random.default_rng(seed).integers(len(lost), size=(2000, len(lost)))
    low, high = np.exp(np.quantile(lost[drawn].sum(1) / tokens[drawn].sum(1), [0.025, 0.975]))
    return float(low), float(high)


def print_table(rows: list[Row]) -> None:
    print("| recipe | bits per weight | zeros | bytes | perplexity | ratio to dense | 95 % interval | seconds |")
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        print(
            f"| `{row.recipe}` | {row.bits_per_weight:.2f} | {row.sparsity:.1%} | {row.bytes:,} | {row.perplexity:.3f} "
            f"| {row.ratio:.4f} "
            f"| [{row.low:.4f}, {row.high:.4f}] | {row.seconds:.1f} |"
        )


if __name__ == "__main__":
    main()
