"""Blockwise quantisation and dequantisation against a pass that only reads and against bitsandbytes.

One process, calls in random order, each right after a read pass over as many bytes as it reads and writes; medians of
the ratios. The matrices rotate, so that they come from memory.

    python benchmarks/quantize.py --out build/quantize.json
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import random
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import machine_limits
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from fairopt import ops

FORMATS = [("nf4", 64), ("fp4", 64), ("int8", 64), ("int4_sym", 128), ("int4_asym", 128)]
TYPES = [torch.float32, torch.bfloat16]

Call = Callable[[], object]


@dataclass
class Contender:
    """One direction of one format: a call for every matrix of the rotation."""

    job: str  # what is compared with what: "quantize nf4 float32"
    who: str
    bytes: int  # read and written by one call
    calls: list[Call]
    seconds: list[float] = field(default_factory=list)
    of_read: list[float] = field(default_factory=list)


@dataclass
class Row:
    job: str
    who: str
    median_ms: float
    values_per_ns: float
    of_read: float  # a read pass over the bytes it reads and writes, over its time
    times_faster: float | None  # than bitsandbytes at the same job


def job_name(direction: str, format: str, dtype: torch.dtype) -> str:
    return f"{direction} {format} {str(dtype).removeprefix('torch.')}"


def size(*tensors: torch.Tensor) -> int:
    return sum(t.numel() * t.element_size() for t in tensors)


def ours(matrices: list[torch.Tensor], format: str, block: int) -> Iterator[Contender]:
    dtype, cols = matrices[0].dtype, matrices[0].shape[1]
    stored = [ops.quantize_blockwise(m, format, block) for m in matrices]
    moved = size(matrices[0], *stored[0])

    def quantize(m: torch.Tensor) -> Call:
        return lambda: torch.ops.fairopt.quantize_blockwise.default(m, format, block)

    def dequantize(parts: tuple[torch.Tensor, ...]) -> Call:
        return lambda: ops.dequantize_blockwise(*parts, format, block, cols, dtype)

    yield Contender(job_name("quantize", format, dtype), "fairopt", moved, [quantize(m) for m in matrices])
    yield Contender(job_name("dequantize", format, dtype), "fairopt", moved, [dequantize(p) for p in stored])


def bitsandbytes(matrices: list[torch.Tensor], format: str, block: int) -> Iterator[Contender]:
    """Its codes of int8 are another map, but as many bytes."""
    from bitsandbytes import functional

    dtype = matrices[0].dtype
    if format == "int8":

        def quantize(m: torch.Tensor) -> tuple[torch.Tensor, object]:
            return functional.quantize_blockwise(m, blocksize=block)

        dequantize = functional.dequantize_blockwise
    else:

        def quantize(m: torch.Tensor) -> tuple[torch.Tensor, object]:
            return functional.quantize_4bit(m, blocksize=block, quant_type=format)

        dequantize = functional.dequantize_4bit
    stored = [quantize(m) for m in matrices]
    moved = size(matrices[0], stored[0][0], stored[0][1].absmax)

    def call(function: Callable[..., object], *arguments: object) -> Call:
        return lambda: function(*arguments)

    for direction, calls in [
        ("quantize", [call(quantize, m) for m in matrices]),
        ("dequantize", [call(dequantize, *parts) for parts in stored]),
    ]:
        yield Contender(job_name(direction, format, dtype), "bitsandbytes", moved, calls)


def contenders(rows: int, cols: int) -> list[Contender]:
    generator = torch.Generator().manual_seed(rows * cols)
    everybody: list[Contender] = []
    for dtype in TYPES:
        nbytes = rows * cols * dtype.itemsize
        copies = 2 * machine_limits.last_level_cache() // nbytes + 1
        matrices = [torch.randn(rows, cols, generator=generator).to(dtype) for _ in range(max(2, copies))]
        for format, block in FORMATS:
            everybody += ours(matrices, format, block)
            if importlib.util.find_spec("bitsandbytes") and format in ("nf4", "fp4", "int8"):
                everybody += bitsandbytes(matrices, format, block)
    return everybody


def run_turn(everybody: list[Contender], memory: torch.Tensor, turn: int) -> None:
    for c in random.Random(turn).sample(everybody, len(everybody)):
        call = c.calls[turn % len(c.calls)]
        start = time.perf_counter()
        machine_limits.read_pass(memory[: c.bytes])
        between = time.perf_counter()
        call()
        seconds = time.perf_counter() - between
        c.seconds.append(seconds)
        c.of_read.append((between - start) / seconds)


def table_rows(everybody: list[Contender], values: int) -> list[Row]:
    peers = {c.job: c for c in everybody if c.who != "fairopt"}
    rows = []
    for c in sorted(everybody, key=lambda c: (c.job, c.who)):
        median, peer = statistics.median(c.seconds), peers.get(c.job)
        faster = None
        if peer is not None:
            faster = statistics.median(theirs / own for theirs, own in zip(peer.seconds, c.seconds, strict=True))
        rows.append(Row(c.job, c.who, 1e3 * median, 1e-9 * values / median, statistics.median(c.of_read), faster))
    return rows


def print_table(console: Console, rows: list[Row]) -> None:
    table = Table("job", "who", "ms", "values a ns", "of read", "x bitsandbytes")
    for r in rows:
        faster = "-" if r.times_faster is None else f"{r.times_faster:.1f}"
        table.add_row(r.job, r.who, f"{r.median_ms:.2f}", f"{r.values_per_ns:.2f}", f"{r.of_read:.2f}", faster)
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="write machine and rows as JSON")
    parser.add_argument("--turns", type=int, default=15, help="calls of everybody (default: %(default)s)")
    parser.add_argument("--threads", type=int, help="threads of torch (default: torch's)")
    parser.add_argument("--quick", action="store_true", help="a small matrix and few turns: does it run?")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    rows, cols = (512, 2048) if arguments.quick else (4096, 11008)
    machine_limits.build()
    machine = machine_limits.describe()
    console = Console(width=120)
    console.print(", ".join(f"{key} {value}" for key, value in machine.items()))
    with torch.inference_mode():
        everybody = contenders(rows, cols)
        memory = machine_limits.bytes_to_read(max(c.bytes for c in everybody))
        for c in everybody:
            c.calls[0]()
        for turn in track(range(3 if arguments.quick else arguments.turns), description="turns", transient=True):
            run_turn(everybody, memory, turn)
    measured = table_rows(everybody, rows * cols)
    print_table(console, measured)
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        report = {"machine": machine, "shape": [rows, cols], "rows": [asdict(r) for r in measured]}
        arguments.out.write_text(json.dumps(report, indent=2) + "\n")
        console.print(f"wrote {arguments.out}")


if __name__ == "__main__":
    main()
