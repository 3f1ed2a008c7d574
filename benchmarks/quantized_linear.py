"""Linear layers on packed quantised weights against the limits of the machine and against the peers.

Every call is timed right after its limit, in one process and in random order: for one token a pass that only reads as
many bytes; for more a loop from registers, of fused multiply-adds or, for a mode that multiplies bytes, of VNNI's dot
products. What counts is the median of these ratios; milliseconds stand beside them because people want to see them.
The weights rotate through so many copies that they come from memory and not from the cache, and all, the peers' too,
lie on large pages. docs/performance.md says what the numbers mean and what not to conclude.

    python benchmarks/quantized_linear.py --out build/quantized_linear.json
    python benchmarks/quantized_linear.py --quick
    python benchmarks/quantized_linear.py --formats int2_sym int3_sym fp8 --shape 4096 11008 --tokens 1 64
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

os.environ["THP_MEM_ALLOC_ENABLE"] = "1"  # torch asks for large pages too, so that the peers lie as our weights do

import machine_limits
import torch
from linear_contenders import FORMATS, PEER_BLOCK, Contender, contenders
from rich.console import Console
from rich.progress import track
from rich.table import Table

SHAPES = [(4096, 11008), (4096, 4096)]  # [n, k]
TOKENS = [1, 4, 16, 64, 256]
QUICK_SHAPES, QUICK_TOKENS, QUICK_TURNS = [(1024, 4096)], [1, 16], 5
LOOP_STEPS = 100_000


@dataclass
class Row:
    name: str
    n: int
    k: int
    m: int
    bits_per_weight: float
    median_ms: float
    min_ms: float
    gflops: float  # at the median
    limit: str  # "read", "fma" or "dot"
    of_limit: float
    error: float  # ||y - exact|| / ||exact||, exact in float64 with the weights that the codes stand for
    times_faster: dict[str, float]  # than each peer


class Memory:
    """Bytes that no cache holds: every pass goes on where the last one ended."""

    def __init__(self, size: int) -> None:
        self.bytes = machine_limits.bytes_to_read(size)
        self.position = 0

    def read_seconds(self, size: int) -> float:
        if self.position + size > self.bytes.numel():
            self.position = 0
        part = self.bytes[self.position : self.position + size]
        self.position += size
        start = time.perf_counter()
        machine_limits.read_pass(part)
        return time.perf_counter() - start


def loop_seconds(loop: Callable[[int], int], operations: float) -> float:
    start = time.perf_counter()
    done = loop(LOOP_STEPS)
    return (time.perf_counter() - start) / done * operations


def limit_of(c: Contender, m: int) -> str:
    """What bounds this layer for m tokens; without VNNI the modes that multiply bytes are compared with floats."""
    if m == 1:
        return "read"
    return "dot" if c.byte_products and machine_limits.dot_pass(1) else "fma"


def limit_seconds(c: Contender, m: int, memory: Memory) -> float:
    limit, operations = limit_of(c, m), 2.0 * m * c.values.numel()
    if limit == "read":
        return memory.read_seconds(c.bytes)
    if limit == "dot":
        return loop_seconds(machine_limits.dot_pass, operations * c.byte_products)
    return loop_seconds(machine_limits.fma_pass, operations)


def run_turn(everybody: list[Contender], x: torch.Tensor, memory: Memory, turn: int) -> None:
    """One call of everybody, each right after its limit, in another order every turn."""
    for c in random.Random(turn).sample(everybody, len(everybody)):
        tokens, layer = x.to(c.dtype), c.copies[turn % len(c.copies)]
        limit = limit_seconds(c, len(x), memory)
        start = time.perf_counter()
        layer(tokens)
        seconds = time.perf_counter() - start
        c.seconds.append(seconds)
        c.of_limit.append(limit / seconds)


def row(c: Contender, peers: list[Contender], x: torch.Tensor) -> Row:
    m, k = x.shape
    n = c.values.shape[0]
    exact = x.double() @ c.values.double().T
    median = statistics.median(c.seconds)
    return Row(
        name=c.name,
        n=n,
        k=k,
        m=m,
        bits_per_weight=8 * c.bytes / (n * k),
        median_ms=1e3 * median,
        min_ms=1e3 * min(c.seconds),
        gflops=2e-9 * m * n * k / median,
        limit=limit_of(c, m),
        of_limit=statistics.median(c.of_limit),
        error=float((c.copies[0](x.to(c.dtype)).double() - exact).norm() / exact.norm()),
        times_faster={
            peer.name: statistics.median(theirs / own for theirs, own in zip(peer.seconds, c.seconds, strict=True))
            for peer in peers
        },
    )


def measure(
    n: int, k: int, tokens: list[int], turns: int, formats: list[tuple[str, int]]
) -> tuple[list[Row], list[str]]:
    generator = torch.Generator().manual_seed(n * k)
    weight = torch.randn(n, k, generator=generator) / k**0.5
    x = torch.randn(max(tokens), k, generator=generator)
    everybody, missing = contenders(weight, formats)
    peers = [c for c in everybody if not c.name.startswith("fairopt")]
    memory = Memory(max(4 * machine_limits.last_level_cache(), 2 * max(c.bytes for c in everybody)))
    rows = []
    for m in tokens:
        for c in everybody:
            c.seconds, c.of_limit = [], []
            for layer in c.copies:  # some peers pack themselves in their first call
                layer(x[:m].to(c.dtype))
        rounds = turns if m == 1 else max(3, turns // 4)
        for turn in track(range(rounds), description=f"[{m}, {k}] x [{n}, {k}]", transient=True):
            run_turn(everybody, x[:m], memory, turn)
        rows += [row(c, peers, x[:m]) for c in everybody]
    return rows, missing


def print_table(console: Console, rows: list[Row]) -> None:
    against = {"torch int4pack b128": "x int4pack", "bitsandbytes nf4 b64": "x bnb", "torch linear float32": "x dense"}
    against |= {"torch dynamic int8 (fbgemm)": "x fbgemm", "llama.cpp q4_0": "x q4_0"}
    table = Table("layer", "m", "bits", "ms (min)", "GFLOP/s", "of limit", *against.values(), "error")
    for i, r in enumerate(rows):
        table.add_row(
            r.name,
            str(r.m),
            f"{r.bits_per_weight:.3f}",
            f"{r.median_ms:.3f} ({r.min_ms:.3f})",
            f"{r.gflops:.0f}",
            f"{r.of_limit:.2f} {r.limit}",
            *(f"{r.times_faster[peer]:.2f}" if peer in r.times_faster else "-" for peer in against),
            f"{r.error:.1e}",
            end_section=i + 1 == len(rows) or rows[i + 1].m != r.m,
        )
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="write machine and rows as JSON")
    parser.add_argument("--turns", type=int, default=60, help="calls of everybody a shape (default: %(default)s)")
    parser.add_argument("--shape", type=int, nargs=2, metavar=("N", "K"), help="this layer alone")
    parser.add_argument("--tokens", type=int, nargs="+", metavar="M", help=f"tokens a call (default: {TOKENS})")
    parser.add_argument("--formats", nargs="+", metavar="FORMAT", help=f"of ours, in blocks of {PEER_BLOCK}")
    parser.add_argument("--threads", type=int, help="threads of torch (default: torch's)")
    parser.add_argument("--quick", action="store_true", help="one small layer and few turns: does it run?")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    shapes = [tuple(arguments.shape)] if arguments.shape else QUICK_SHAPES if arguments.quick else SHAPES
    tokens = arguments.tokens or (QUICK_TOKENS if arguments.quick else TOKENS)
    formats = [(format, PEER_BLOCK) for format in arguments.formats] if arguments.formats else FORMATS
    turns = QUICK_TURNS if arguments.quick else arguments.turns
    machine_limits.build()
    machine = machine_limits.describe()
    console = Console(width=150)
    console.print(", ".join(f"{key} {value}" for key, value in machine.items()))
    rows: list[Row] = []
    for n, k in shapes:
        with torch.inference_mode():
            of_shape, missing = measure(n, k, tokens, turns, formats)
        console.print(f"\n{n} x {k}; not installed here: {', '.join(missing) or 'none of the peers'}")
        print_table(console, of_shape)
        rows += of_shape
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        report = {"machine": machine, "not_installed": missing, "rows": [asdict(r) for r in rows]}
        arguments.out.write_text(json.dumps(report, indent=2) + "\n")
        console.print(f"wrote {arguments.out}")


if __name__ == "__main__":
    main()
