"""quantized_linear against the limits of the machine, torch's int4 kernel and a dense fp32 linear.

Every call is timed right after its limit, in one process and in random order: for one token a pass that only reads as
many bytes, for many tokens a loop of fused multiply-adds. What counts is the median of these ratios; milliseconds stand
beside them because people want to see them. The weights rotate through so many copies that they come from memory and
not from the cache. docs/performance.md says what the numbers mean and what not to conclude.

    python benchmarks/quantized_linear.py --out build/quantized_linear.json
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import machine_limits
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from fairopt import ops

SHAPES = [(4096, 4096), (4096, 11008)]  # [n, k]
TOKENS = [1, 64]
FORMATS = [("int4_sym", 128), ("int4_asym", 128), ("nf4", 64)]
PEER_BLOCK = 128
FMA_STEPS = 200_000

Layer = Callable[..., torch.Tensor]  # (x, *tensors of the weight) -> y


@dataclass
class Contender:
    """A linear layer with so many copies of its weight that none stays in the cache."""

    name: str
    layer: Layer
    dtype: torch.dtype  # of the activations
    weights: list[tuple[torch.Tensor, ...]]
    bytes: int
    exact: torch.Tensor  # the product in float64, of the weights that the codes stand for
    seconds: list[float] = field(default_factory=list)
    of_limit: list[float] = field(default_factory=list)


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
    limit: str  # "read" or "fma"
    of_limit: float
    times_int4pack: float
    times_dense: float
    error: float  # ||y - exact|| / ||exact||


def contender(
    name: str, layer: Layer, tensors: tuple[torch.Tensor, ...], values: torch.Tensor, x: torch.Tensor
) -> Contender:
    size = sum(t.numel() * t.element_size() for t in tensors)
    copies = max(2, 4 * machine_limits.last_level_cache() // size + 1)
    rotation = [tuple(t.clone() for t in tensors) for _ in range(copies)]
    return Contender(name, layer, x.dtype, rotation, size, x.double() @ values.double().T)


def ours(format: str, block: int, weight: torch.Tensor, x: torch.Tensor) -> Contender:
    tensors = ops.quantize_blockwise(weight, format, block)
    values = ops.dequantize_blockwise(*tensors, format, block, weight.shape[1])

    def layer(x: torch.Tensor, *weight: torch.Tensor) -> torch.Tensor:
        return torch.ops.fairopt.quantized_linear.default(x, *weight, None, format, block)

    return contender(f"fairopt {format} b{block}", layer, tensors, values, x)


def int4pack(weight: torch.Tensor, x: torch.Tensor) -> Contender:
    """torch's kernel in the type it is made for, bfloat16; a weight is (code - 8) scale + zero."""
    n, k = weight.shape
    blocks = weight.view(n, k // PEER_BLOCK, PEER_BLOCK)
    scales = (blocks.abs().amax(-1) / 7.5).bfloat16()
    codes = (blocks / scales.float()[..., None]).round().clamp(-8, 7)
    values = (codes.double() * scales.double()[..., None]).view(n, k)
    packed = torch._convert_weight_to_int4pack_for_cpu(codes.add(8).to(torch.int32).view(n, k), 1)
    scales_and_zeros = torch.stack([scales.T, torch.zeros_like(scales.T)], -1).contiguous()

    def layer(x: torch.Tensor, packed: torch.Tensor, scales_and_zeros: torch.Tensor) -> torch.Tensor:
        return torch._weight_int4pack_mm_for_cpu(x, packed, PEER_BLOCK, scales_and_zeros)

    return contender(f"torch int4pack b{PEER_BLOCK}", layer, (packed, scales_and_zeros), values, x.bfloat16())


def dense(weight: torch.Tensor, x: torch.Tensor) -> Contender:
    return contender("torch linear fp32", torch.nn.functional.linear, (weight,), weight, x)


class Memory:
    """Bytes that no cache holds: every pass goes on where the last one ended."""

    def __init__(self, size: int) -> None:
        self.bytes = torch.ones(size, dtype=torch.uint8)
        self.position = 0

    def read_seconds(self, size: int) -> float:
        if self.position + size > self.bytes.numel():
            self.position = 0
        part = self.bytes[self.position : self.position + size]
        self.position += size
        start = time.perf_counter()
        machine_limits.read_pass(part)
        return time.perf_counter() - start


def fma_seconds(operations: float) -> float:
    start = time.perf_counter()
    done = machine_limits.fma_pass(FMA_STEPS)
    return (time.perf_counter() - start) / done * operations


def run_turn(contenders: list[Contender], x: torch.Tensor, memory: Memory, turn: int) -> None:
    """One call of everybody, each right after its limit, in another order every turn."""
    m, k = x.shape
    for c in random.Random(turn).sample(contenders, len(contenders)):
        tokens, weight = x.to(c.dtype), c.weights[turn % len(c.weights)]
        limit = memory.read_seconds(c.bytes) if m == 1 else fma_seconds(2.0 * m * c.exact.shape[1] * k)
        start = time.perf_counter()
        c.layer(tokens, *weight)
        seconds = time.perf_counter() - start
        c.seconds.append(seconds)
        c.of_limit.append(limit / seconds)


def row(c: Contender, peers: dict[str, Contender], x: torch.Tensor) -> Row:
    m, k = x.shape
    n = c.exact.shape[1]
    exact = c.exact[:m]
    y = c.layer(x.to(c.dtype), *c.weights[0]).double()
    median = statistics.median(c.seconds)
    faster = {
        name: statistics.median(theirs / own for theirs, own in zip(peer.seconds, c.seconds, strict=True))
        for name, peer in peers.items()
    }
    return Row(
        name=c.name,
        n=n,
        k=k,
        m=m,
        bits_per_weight=8 * c.bytes / (n * k),
        median_ms=1e3 * median,
        min_ms=1e3 * min(c.seconds),
        gflops=2e-9 * m * n * k / median,
        limit="read" if m == 1 else "fma",
        of_limit=statistics.median(c.of_limit),
        times_int4pack=faster["int4pack"],
        times_dense=faster["dense"],
        error=float((y - exact).norm() / exact.norm()),
    )


def measure(n: int, k: int, turns: int) -> list[Row]:
    generator = torch.Generator().manual_seed(n * k)
    weight = torch.randn(n, k, generator=generator) / k**0.5
    x = torch.randn(max(TOKENS), k, generator=generator)
    peers = {"int4pack": int4pack(weight, x), "dense": dense(weight, x)}
    contenders = [ours(format, block, weight, x) for format, block in FORMATS] + list(peers.values())
    memory = Memory(max(4 * machine_limits.last_level_cache(), 2 * max(c.bytes for c in contenders)))
    rows = []
    for m in TOKENS:
        for c in contenders:
            c.seconds, c.of_limit = [], []
            c.layer(x[:m].to(c.dtype), *c.weights[0])
        rounds = turns if m == 1 else max(3, turns // 4)
        for turn in track(range(rounds), description=f"[{m}, {k}] x [{n}, {k}]", transient=True):
            run_turn(contenders, x[:m], memory, turn)
        rows += [row(c, peers, x[:m]) for c in contenders]
    return rows


def print_table(console: Console, rows: list[Row]) -> None:
    table = Table("layer", "n x k", "m", "bits", "ms (min)", "GFLOP/s", "of limit", "x int4pack", "x dense", "error")
    for r in rows:
        table.add_row(
            r.name,
            f"{r.n} x {r.k}",
            str(r.m),
            f"{r.bits_per_weight:.3f}",
            f"{r.median_ms:.3f} ({r.min_ms:.3f})",
            f"{r.gflops:.0f}",
            f"{r.of_limit:.2f} {r.limit}",
            f"{r.times_int4pack:.2f}",
            f"{r.times_dense:.2f}",
            f"{r.error:.1e}",
            end_section=r.name == rows[-1].name,
        )
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="write machine and rows as JSON")
    parser.add_argument("--turns", type=int, default=60, help="calls of everybody a shape (default: %(default)s)")
    parser.add_argument("--threads", type=int, help="threads of torch (default: torch's)")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    machine_limits.build()
    machine = machine_limits.describe()
    console = Console(width=140)
    console.print(", ".join(f"{key} {value}" for key, value in machine.items()))
    with torch.inference_mode():
        rows = [row for n, k in SHAPES for row in measure(n, k, arguments.turns)]
    print_table(console, rows)
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(
            json.dumps({"machine": machine, "rows": [asdict(row) for row in rows]}, indent=2) + "\n"
        )
        console.print(f"wrote {arguments.out}")


if __name__ == "__main__":
    main()
