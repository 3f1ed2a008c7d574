"""What each solver costs: seconds and peak memory of `fairopt.compress` on a Llama of 100 million random weights.

Each recipe in a process of its own, whose largest resident set is the peak; the model alone is the first row. Beside
the seconds stands how often a dense pass of all calibration tokens through the decoder blocks would fit into them: what
looks at activations needs one for its statistics and one to pass on what the compressed blocks make of the tokens.

    python benchmarks/solvers.py --models MODELS --samples 16 --length 128 --out build/solvers.json
    python benchmarks/solvers.py --models MODELS --recipe awq:int4,g=32 --layers 2

The default calibration is that of `fairopt compress`, 128 sequences of 512 tokens: about half an hour on two cores.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import machine_limits
import torch
import transformers
from recipes import SMALL, generate

import fairopt
from fairopt.compress.blocks import Scaffold
from fairopt.compress.calibration import LENGTH, SAMPLES, Calibration
from fairopt.compress.solvers.base import BlockCall

RECIPES = (
    *("int4:g=32", "mse:int4,g=32", "hqq:int4", "gptq:int4,g=32", "awq:int4,g=32", "smoothquant:w8a8"),
    *("signround:int4,g=32,steps=10", "magnitude:0.5", "wanda:0.5", "sparsegpt:2:4+int4", "gblm:0.5", "hgla:0.5"),
)
NOTHING = "(the model alone)"
PASS = "(one dense pass)"


@dataclass
class Row:
    recipe: str
    seconds: float
    peak_mb: float  # largest resident set of the process, with the dense model in it


def load(folder: Path, samples: int, length: int) -> tuple[transformers.PreTrainedModel, Calibration]:
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(model.config.vocab_size, (samples * length,), generator=generator)
    return model, Calibration.of([ids], samples=samples, length=length)


@torch.no_grad()
def dense_pass(model: transformers.PreTrainedModel, calibration: Calibration) -> None:
    scaffold = Scaffold(model, calibration)
    hidden, arguments = scaffold.calls()
    for block, passed in zip(scaffold.blocks.values(), arguments, strict=True):
        hidden = [BlockCall(h, *given)(block) for h, given in zip(hidden, passed, strict=True)]


def measure(recipe: str, folder: Path, samples: int, length: int, threads: int | None) -> Row:
    if threads:
        torch.set_num_threads(threads)
    model, calibration = load(folder, samples, length)
    start = time.perf_counter()
    if recipe == PASS:
        dense_pass(model, calibration)
    elif recipe != NOTHING:
        fairopt.compress(model, recipe, calibration=calibration)
    seconds = time.perf_counter() - start
    return Row(recipe, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, required=True, help=f"folder that holds {SMALL}, for its tokenizer")
    parser.add_argument("--recipe", action="append", help="repeatable (default: all)")
    parser.add_argument("--layers", type=int, default=12, help="decoder blocks (default: %(default)s)")
    parser.add_argument("--samples", type=int, default=SAMPLES, help="sequences (default: %(default)s)")
    parser.add_argument("--length", type=int, default=LENGTH, help="tokens of each (default: %(default)s)")
    parser.add_argument("--threads", type=int, help="threads of torch (default: torch's)")
    parser.add_argument("--out", type=Path, help="write machine and rows as JSON")
    options = parser.parse_args()
    machine = machine_limits.describe()
    print(", ".join(f"{key} {value}" for key, value in machine.items()))
    print(f"{options.layers} blocks, {options.samples} x {options.length} tokens\n")
    print("| recipe | s | passes | peak MB |\n|---|---|---|---|")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = generate("llama", options.layers, Path(scratch), options.models / SMALL)
        for recipe in (NOTHING, PASS, *(options.recipe or RECIPES)):
            with multiprocessing.get_context("spawn").Pool(1) as alone:
                job = (recipe, folder, options.samples, options.length, options.threads)
                rows.append(alone.apply(measure, job))
            row, unit = rows[-1], rows[min(1, len(rows) - 1)].seconds
            print(f"| `{recipe}` | {row.seconds:.1f} | {row.seconds / unit:.1f} | {row.peak_mb:,.0f} |", flush=True)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        size = {"layers": options.layers, "samples": options.samples, "length": options.length}
        report = {"machine": machine, **size, "rows": [asdict(row) for row in rows]}
        options.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
