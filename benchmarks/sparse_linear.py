"""sparse_linear on the CPU against the dense layer of the same type, a dense product of ours and a read pass.

The dense layers: torch's linear of bfloat16 or float32, and our own of int8 (blocks of 128, its default mode).

Everything is timed in turn in one process; what counts is the median of ratios of turns. Weights rotate through so many
copies that they come from memory and not from the cache. Our dense product reads bfloat16 weights in the order of the
sparse kernel and does nothing else: the least time that such weights can take here. Errors are against float64.

    OMP_NUM_THREADS=2 python benchmarks/sparse_linear.py --out build/sparse.json
"""

from __future__ import annotations

import argparse
import copy
import itertools
import json
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import machine_limits
import torch
from linear_contenders import rotation

from fairopt import nn

Stored = TypeVar("Stored", nn.SparseLinear, nn.QuantizedLinear)
KINDS = ["bfloat16", "float32", "int8"]


@dataclass
class Contender:
    name: str
    bits: float  # a weight
    calls: list[Callable[[], torch.Tensor]]  # one a copy of the weight
    error: float


@dataclass
class Row:
    name: str
    m: int
    bits: float
    ms: float
    of_read: float  # the time in which the read pass reads the bytes of the weight over ours
    times_dense: float  # the time of the dense layer over ours
    times_product: float  # the time of our dense bfloat16 product over ours; NaN where there is none to compare with
    error: float


def relative_error(y: torch.Tensor, x: torch.Tensor, weight: torch.Tensor) -> float:
    exact = x.double() @ weight.double().T
    return float((y.double() - exact).norm() / exact.norm())


def sparse(weight: torch.Tensor, x: torch.Tensor, kind: str) -> Contender:
    n, k = weight.shape
    layers, size = copies(nn.SparseLinear.from_weight(weight, None, kind))
    zeros = 1 - float(torch.count_nonzero(weight)) / weight.numel()
    error = relative_error(layers[0](x), x, layers[0].dense_weight())
    return Contender(f"sparse {kind}, {zeros:.0%} zeros", 8 * size / (n * k), calls_of(layers, x), error)


def copies(layer: Stored) -> tuple[list[Stored], int]:
    """So many that they come from memory, each packed on its own (large pages), and the bytes of one."""
    first = copy.deepcopy(layer).pack()
    size = sum(buffer.nbytes for buffer in first.buffers())
    return [first, *(copy.deepcopy(layer).pack() for _ in range(rotation(size) - 1))], size


def calls_of(layers: Sequence[torch.nn.Module], x: torch.Tensor) -> list[Callable[[], torch.Tensor]]:
    return [lambda layer=layer: layer(x) for layer in layers]  # type: ignore[misc]


def our_int8(weight: torch.Tensor, x: torch.Tensor) -> Contender:
    n, k = weight.shape
    layers, size = copies(nn.QuantizedLinear.from_weight(weight, None, "int8", 128))
    error = relative_error(layers[0](x), x, layers[0].dense_weight())
    return Contender("dense int8 of ours", 8 * size / (n * k), calls_of(layers, x), error)


def torch_dense(weight: torch.Tensor, x: torch.Tensor) -> Contender:
    held = [weight.clone() for _ in range(rotation(weight.nbytes))]
    calls = [lambda w=w: torch.nn.functional.linear(x, w) for w in held]  # type: ignore[misc]
    name = f"torch dense {str(weight.dtype)[6:]}"
    return Contender(name, 8 * weight.itemsize, calls, relative_error(calls[0](), x, weight))


def our_dense(weight: torch.Tensor, x: torch.Tensor) -> Contender:
    held = [machine_limits.bf16_rows(weight) for _ in range(rotation(weight.nbytes))]
    calls = [lambda w=w: machine_limits.bf16_product(w, x[0].float()) for w in held]  # type: ignore[misc]
    return Contender("dense bfloat16 of ours", 16, calls, relative_error(calls[0](), x[:1], weight))


def seconds(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def contenders_of(kind: str, n: int, k: int, m: int, sparsities: list[float]) -> list[Contender]:
    """The dense layer first; for one row of x and bfloat16 the dense product second."""
    dtype = torch.float32 if kind == "float32" else torch.bfloat16
    weight, x = (torch.randn(n, k) / k**0.5).to(dtype), torch.randn(m, k).to(dtype)
    contenders = [our_int8(weight, x) if kind == "int8" else torch_dense(weight, x)]
    contenders += [our_dense(weight, x)] if kind == "bfloat16" and m == 1 else []
    return contenders + [sparse(weight * (torch.rand(n, k) >= sparsity), x, kind) for sparsity in sparsities]


def measure(kind: str, n: int, k: int, m: int, sparsities: list[float], turns: int) -> list[Row]:
    contenders = contenders_of(kind, n, k, m, sparsities)
    buffer = machine_limits.bytes_to_read(2**28)
    times: list[list[float]] = [[] for _ in contenders]
    read: list[float] = []
    for turn in range(turns):
        read.append(seconds(lambda: machine_limits.read_pass(buffer)) / buffer.numel())
        for c, taken in zip(contenders, times, strict=True):
            taken.append(seconds(c.calls[turn % len(c.calls)]))
    rows = []
    for c, taken in zip(contenders, times, strict=True):
        size = c.bits / 8 * n * k
        of_read = statistics.median(size * one / t for one, t in zip(read, taken, strict=True))
        dense, product = (statistics.median(map(lambda a, b: a / b, times[i], taken)) for i in (0, 1))
        ms = 1e3 * statistics.median(taken)
        has_product = kind == "bfloat16" and m == 1
        rows.append(Row(c.name, m, c.bits, ms, of_read, dense, product if has_product else math.nan, c.error))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="write the rows as JSON")
    parser.add_argument("--shape", type=int, nargs=2, default=(4096, 11008), help="n k; n a multiple of 64")
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 16, 64, 256], help="rows of x")
    parser.add_argument("--kind", nargs="+", default=KINDS, choices=KINDS)
    parser.add_argument("--sparsity", type=float, nargs="+", default=[0.5, 0.7])
    parser.add_argument("--turns", type=int, default=40)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    machine_limits.build()
    print(machine_limits.describe())
    print("| layer | m | bits | ms | of read | x dense | x product | error |")
    print("|---|---|---|---|---|---|---|---|")
    rows = []
    for kind, m in itertools.product(arguments.kind, arguments.rows):
        turns = arguments.turns if m == 1 else max(5, arguments.turns // 4)
        for row in measure(kind, *arguments.shape, m, arguments.sparsity, turns):
            rows.append(row)
            print(
                f"| {row.name} | {row.m} | {row.bits:.2f} | {row.ms:.2f} | {row.of_read:.2f} | {row.times_dense:.2f} | "
                f"{row.times_product:.2f} | {row.error:.1e} |",
                flush=True,
            )
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps([asdict(row) for row in rows], indent=1))


if __name__ == "__main__":
    with torch.inference_mode():  # as models are scored
        main()
