"""Memory that compressing a folder into a folder takes, and quantising it while transformers loads it.

Generates a Llama of random 16-bit weights, in shards, and compresses it in processes of their own. What counts is the
peak of resident memory, mapped pages of files included, above what the same process takes after a small model. It is
set against the largest shard plus one decoder block, what a program that reads shard after shard may be expected to
need. While transformers loads, it keeps all its files mapped, which the system may drop at any time: there the memory
that the process holds itself counts (sampled every 5 ms); what stays dense remains mapped.

    python benchmarks/on_disk.py --gigabytes 2 --out build/on_disk.json        # about 3 minutes, 3 GB of disk
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

# A small model first: what the imports, the operators and the allocator take once is not the model's.
_PROGRAM = """
import json, sys, threading
import fairopt, fairopt.hf

def resident(what):
    lines = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return int(lines[what].split()[0]) * 1024

def on_disk(folder, out, recipe):
    return fairopt.compress_folder(folder, out, recipe)

def while_loading(folder, out, recipe):
    model = fairopt.hf.from_pretrained(folder, quantization_config=fairopt.hf.FairoptConfig(recipe))
    return fairopt.record(model)

def sample():
    while not done.wait(0.005):
        anonymous.append(resident("RssAnon"))

run, small, folder, out, recipe = globals()[sys.argv[1]], *sys.argv[2:]
run(small, out + "-small", recipe)
before, anonymous, done = resident("VmRSS"), [resident("RssAnon")], threading.Event()
open("/proc/self/clear_refs", "w").write("5")  # the peak starts again here
sampler = threading.Thread(target=sample)
sampler.start()
record = run(folder, out, recipe)
done.set()
sampler.join()
peak, held = resident("VmHWM") - before, max(anonymous) - anonymous[0]
print(json.dumps({"peak": peak, "held": held, "dense": record.dense_bytes, "compressed": record.bytes}))
"""


def generate(folder: Path, gigabytes: float, shards: int, hidden: int = 2048) -> int:
    """Write the model, shard by shard, and return the bytes of one decoder block."""
    import torch
    from safetensors.torch import save_file
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=hidden * 125 // 8,
        hidden_size=hidden,
        intermediate_size=hidden * 11 // 4,
        num_attention_heads=16,
        num_key_value_heads=8,
        num_hidden_layers=1,
        tie_word_embeddings=False,
    )
    with torch.device("meta"):
        one = LlamaForCausalLM(config).bfloat16()
    block = sum(p.numel() * p.element_size() for p in one.model.layers[0].parameters())
    rest = sum(p.numel() * p.element_size() for p in one.parameters()) - block
    config.num_hidden_layers = max(1, round((gigabytes * 1e9 - rest) / block))
    with torch.device("meta"):
        model = LlamaForCausalLM(config).bfloat16()
    config.architectures, config.dtype = ["LlamaForCausalLM"], "bfloat16"
    config.save_pretrained(folder)
    names = list(model.state_dict())
    per_shard = -(-len(names) // shards)
    groups = [names[start : start + per_shard] for start in range(0, len(names), per_shard)]
    generator = torch.Generator().manual_seed(0)
    shard_of = {}
    for number, group in enumerate(groups, 1):
        file = f"model-{number:05}-of-{len(groups):05}.safetensors"
        tensors = {
            name: torch.empty(model.get_parameter(name).shape, dtype=torch.bfloat16).normal_(
                0, 0.02, generator=generator
            )
            for name in group
        }
        save_file(tensors, folder / file, metadata={"format": "pt"})
        shard_of |= dict.fromkeys(group, file)
    index = {"metadata": {}, "weight_map": shard_of}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return block


def measure(*arguments: object) -> dict[str, Any]:
    """Run a program in a process of its own and read what it printed last."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *map(str, arguments)], check=True, capture_output=True, text=True
    )
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _mb(size: float) -> str:
    return f"{size / 1e6:,.0f} MB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--recipe", action="append", help="default: nf4, int8, magnitude:0.5")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(dir=options.out.parent if options.out else None) as name:
        scratch = Path(name)
        dense, small, out = (scratch / part for part in ("dense", "small", "out"))
        dense.mkdir()
        small.mkdir()
        generate(small, 0, 1, hidden=512)
        block = generate(dense, options.gigabytes, options.shards)
        shard = max(file.stat().st_size for file in dense.glob("*.safetensors"))
        print(f"largest shard {_mb(shard)} + one decoder block {_mb(block)} = {_mb(shard + block)}")
        for recipe in options.recipe or ["nf4", "int8", "magnitude:0.5"]:
            disk = measure("on_disk", small, dense, out, recipe)
            share = disk["peak"] / (shard + block)
            print(f"{recipe}: {_mb(disk['dense'])} -> {_mb(disk['compressed'])}")
            print(f"    on disk: {_mb(disk['peak'])}, {share:.2f} of it")
            loading = measure("while_loading", small, dense, out, recipe)
            print(f"    while loading: {_mb(loading['held'])} held, beside mapped files")
            rows.append({"recipe": recipe, "shard": shard, "block": block, "on_disk": disk, "while_loading": loading})
    if options.out:
        options.out.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
