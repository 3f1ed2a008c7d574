"""The time of a token after pruning: masks, zeros left out, structures removed, beside the dense model.

A Llama with random weights, large enough that a token costs what reading its weights costs. Every turn each model goes
on after the same prompt by the same tokens, one at a time, with a cache of keys and values; what counts is the median
over turns of the ratio to the dense model's time in the same turn.

    OMP_NUM_THREADS=2 python benchmarks/pruned_decode.py --out build/pruned_decode.json
    python benchmarks/pruned_decode.py --quick
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
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM

import fairopt as fo

RECIPES = (
    *("magnitude:0.5", "magnitude:0.3+sparse", "magnitude:0.5+sparse", "magnitude:0.7+sparse", "magnitude:2:4+sparse"),
    *(
        "ffn:0.25:l2",
        "ffn:0.5:l2",
        "heads:0.25:l2",
        "heads:0.5:l2",
        "hidden:0.25:l2",
        "hidden:0.5:l2",
        "layers:3:l2",
        "layers:6:l2",
    ),
    *("heads:0.25:l2+ffn:0.25:l2", "heads:0.25:l2+ffn:0.25:l2+magnitude:0.5+sparse"),
)
PROMPT, TOKENS = 16, 8


@dataclass(frozen=True)
class Row:
    """One recipe."""

    recipe: str
    bytes: int  # of the whole model
    gone: float  # share of the dense model's weights that are pruned or removed
    ms: float  # a token, median
    ratio: float  # time of the dense model / time of this one, median over turns
    low: float  # quartiles of that ratio
    high: float


def main() -> None:
    arguments = parse_arguments()
    dense = llama(arguments)
    prompt, tokens = torch.randint(dense.config.vocab_size, (1, PROMPT + TOKENS)).split([PROMPT, TOKENS], dim=1)
    models: dict[str, Any] = {"dense": dense}
    for recipe in track(arguments.recipe or RECIPES, description="recipes"):
        models[recipe] = fo.compress(dense, recipe)
    times: dict[str, list[float]] = {name: [] for name in models}
    for turn in track(range(arguments.turns + 1), description="turns"):
        for name, model in models.items():
            seconds = seconds_a_token(model, prompt, tokens)
            if turn:  # the first is to warm up
                times[name].append(seconds)
    rows = [row(name, model, dense, times) for name, model in models.items()]
    print_table(rows)
    if arguments.out:
        about = {"layers": arguments.layers, "hidden": arguments.hidden, "dtype": arguments.dtype}
        about |= {"threads": torch.get_num_threads(), "turns": arguments.turns}
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps({**about, "rows": [asdict(one) for one in rows]}, indent=2) + "\n")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--hidden", type=int, default=1024, help="a multiple of 512; neurons are 2.75 times as many")
    parser.add_argument("--dtype", default="bfloat16", choices=("bfloat16", "float32"))
    parser.add_argument("--recipe", action="append", help="repeatable; instead of those of the table")
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--quick", action="store_true", help="a tiny model, one turn: does it run?")
    parser.add_argument("--out", type=Path, help="JSON to write")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.layers, arguments.hidden, arguments.turns = 8, 512, 1
    return arguments


def llama(arguments: argparse.Namespace) -> Any:
    """Heads of 64 channels, two queries to a key."""
    torch.manual_seed(0)
    hidden = arguments.hidden
    config = LlamaConfig(
        hidden_size=hidden,
        intermediate_size=hidden * 11 // 4,
        num_hidden_layers=arguments.layers,
        num_attention_heads=hidden // 64,
        num_key_value_heads=hidden // 128,
        vocab_size=4096,
        max_position_embeddings=PROMPT + TOKENS,
        bos_token_id=None,
        eos_token_id=None,
    )
    return LlamaForCausalLM(config).to(getattr(torch, arguments.dtype)).eval()


@torch.no_grad()
def seconds_a_token(model: Any, prompt: torch.Tensor, tokens: torch.Tensor) -> float:
    cache = DynamicCache(config=model.config)
    model(prompt, past_key_values=cache)
    start = time.perf_counter()
    for token in tokens[0]:
        model(token.view(1, 1), past_key_values=cache)
    return (time.perf_counter() - start) / tokens.shape[1]


def row(name: str, model: Any, dense: Any, times: dict[str, list[float]]) -> Row:
    ratios = np.array(times["dense"]) / np.array(times[name])
    low, ratio, high = np.quantile(ratios, [0.25, 0.5, 0.75])
    stored = sum(p.numel() * p.element_size() for p in dense.parameters()) if model is dense else fo.record(model).bytes
    gone = 1 - weights(model) / weights(dense)
    return Row(name, stored, gone, float(np.median(times[name])) * 1e3, float(ratio), float(low), float(high))


def weights(model: Any) -> int:
    """How many are not zero."""
    sparse = [module.dense_weight() for module in model.modules() if isinstance(module, fo.nn.SparseLinear)]
    return sum(int(torch.count_nonzero(tensor)) for tensor in (*model.parameters(), *sparse))


def print_table(rows: list[Row]) -> None:
    print("| recipe | weights gone | bytes | ms a token | times as fast | quartiles |")
    print("|---|---|---|---|---|---|")
    for one in rows:
        print(
            f"| `{one.recipe}` | {one.gone:.1%} | {one.bytes:,} | {one.ms:.2f} | {one.ratio:.2f} "
            f"| {one.low:.2f} to {one.high:.2f} |"
        )


if __name__ == "__main__":
    main()
