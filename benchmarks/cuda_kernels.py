"""quantized_linear and sparse_linear on a GPU against a copy of as many bytes, torch's dense product and bitsandbytes.

Every contender is timed in turn in one process, both as CUDA graphs of calls and eagerly. What counts is the median of
ratios of turns: for few rows the share of the memory's copy bandwidth, for many the speed of the dense product. Weights
rotate through so many copies that they come from memory and not from the cache. Values are random: zeros run faster.

    python benchmarks/cuda_kernels.py --out build/cuda.json
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from fairopt import _core, ops

SHAPES = [(4096, 4096), (4096, 11008), (8192, 28672)]  # [n, k]
ROWS = [1, 4, 8, 16, 32, 64, 256, 1024, 4096]
FORMATS = [("int4_sym", 128), ("int4_sym", 32), ("nf4", 64), ("int8", 128)]
SPARSITIES = [0.5, 0.7]  # of bfloat16 weights
TURNS = 9

Call = Callable[[], torch.Tensor]


@dataclass
class Contender:
    name: str
    bits: float  # stored, a weight
    bytes: int  # stored
    dtype: torch.dtype
    calls: list[Call]  # one a copy of the weight
    error: float  # ||y - exact|| / ||exact||, for the weights that the codes stand for


@dataclass
class Row:
    name: str
    n: int
    k: int
    m: int
    dtype: str
    bits: float
    graph_us: float
    eager_us: float
    of_copy: float  # bytes stored over the bytes that a copy would move in the time of a replayed call
    times_dense: float  # the dense product's time over ours
    error: float


def seconds(run: Callable[[], object]) -> float:
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    run()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) * 1e-3


def replayed(calls: list[Call]) -> Callable[[], None]:
    """A graph of the calls; they run once before, because torch sets itself up when it first multiplies."""
    for call in calls[:2]:
        call()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for call in calls:
            call()
    return graph.replay


def copies_of(tensors: tuple[torch.Tensor, ...]) -> list[tuple[torch.Tensor, ...]]:
    """Copies that together are four times as large as the L2 cache."""
    size = sum(t.numel() * t.element_size() for t in tensors)
    count = max(2, 4 * torch.cuda.get_device_properties(0).L2_cache_size // size + 1)
    return [tuple(t.clone() for t in tensors) for _ in range(count)]


def contender(
    name: str,
    tensors: tuple[torch.Tensor, ...],
    layer: Callable[..., torch.Tensor],
    values: torch.Tensor,
    x: torch.Tensor,
) -> Contender:
    exact = x.double() @ values.double().T
    error = ((layer(*tensors).double() - exact).norm() / exact.norm()).item()
    size = sum(t.numel() * t.element_size() for t in tensors)
    calls = [lambda tensors=tensors: layer(*tensors) for tensors in copies_of(tensors)]  # type: ignore[misc]
    return Contender(name, 8 * size / values.numel(), size, x.dtype, calls, error)


def ours(format: str, block: int, mode: str, weight: torch.Tensor, x: torch.Tensor) -> Contender:
    tensors = ops.quantize_blockwise(weight, format, block)
    values = ops.dequantize_blockwise(*tensors, format, block, weight.shape[1])

    def layer(*tensors: torch.Tensor) -> torch.Tensor:
        return ops.quantized_linear(x, *tensors, None, format, block, mode)

    return contender(f"{format} b{block} {mode}", tensors, layer, values, x)


def sparse(sparsity: float, weight: torch.Tensor, x: torch.Tensor) -> Contender:
    values = (weight * (torch.rand_like(weight) >= sparsity)).bfloat16()
    n = weight.shape[0]

    def layer(packed: torch.Tensor) -> torch.Tensor:
        return ops.sparse_linear(x, packed, None, torch.bfloat16, n)

    return contender(f"sparse bf16, {sparsity:.0%} zeros", (ops.pack_sparse(values),), layer, values, x)


def peers(weight: torch.Tensor, x: torch.Tensor) -> list[Contender]:
    dense = weight.to(x.dtype)
    found = [contender("torch dense", (dense,), lambda w: torch.nn.functional.linear(x, w), dense, x)]
    try:
        from bitsandbytes import functional as bnb
    except ImportError:
        return found
    import bitsandbytes

    codes, state = bnb.quantize_4bit(weight.to(x.dtype), blocksize=64, quant_type="nf4")
    values = bnb.dequantize_4bit(codes, state)

    def layer(codes: torch.Tensor, absmax: torch.Tensor) -> torch.Tensor:
        state.absmax = absmax
        return bitsandbytes.matmul_4bit(x, codes.t(), state)

    return [*found, contender("bitsandbytes nf4 b64", (codes, state.absmax), layer, values, x)]


def measure(n: int, k: int, m: int, dtype: torch.dtype) -> list[Row]:
    weight = torch.randn(n, k, device="cuda")
    x = torch.randn(m, k, device="cuda", dtype=dtype)
    all_contenders = peers(weight, x) + [ours(format, block, "exact", weight, x) for format, block in FORMATS]
    all_contenders += [ours("int4_sym", 128, mode, weight, x) for mode in ("a8", "a24")]
    all_contenders += [sparse(sparsity, weight, x) for sparsity in SPARSITIES]
    source = torch.empty(2**28, dtype=torch.int32, device="cuda").random_()
    target = torch.empty_like(source)
    graphs = [replayed(c.calls) for c in all_contenders]
    times: list[list[float]] = [[] for _ in all_contenders]
    eager: list[list[float]] = [[] for _ in all_contenders]
    copy: list[float] = []
    for _ in range(TURNS):
        copy.append(seconds(lambda: target.copy_(source)) / (2 * source.numel() * source.element_size()))
        for i, c in enumerate(all_contenders):
            times[i].append(seconds(graphs[i]) / len(c.calls))
            eager[i].append(seconds(lambda: [call() for call in c.calls]) / len(c.calls))  # noqa: B023  used at once
    rows = []
    for i, c in enumerate(all_contenders):
        of_copy = statistics.median(c.bytes * one / t for one, t in zip(copy, times[i], strict=True))
        times_dense = statistics.median(d / t for d, t in zip(times[0], times[i], strict=True))
        graph_us, eager_us = (1e6 * statistics.median(t) for t in (times[i], eager[i]))
        rows.append(Row(c.name, n, k, m, str(dtype)[6:], c.bits, graph_us, eager_us, of_copy, times_dense, c.error))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="write the rows as JSON")
    parser.add_argument("--shape", type=int, nargs=2, action="append", help="n k, may be repeated")
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS, help="rows of x")
    parser.add_argument("--dtype", choices=["bfloat16", "float16", "float32"], default="bfloat16")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    print(f"{_core.cuda_status()}; torch {torch.__version__}")
    print("| layer | n x k | m | bits | us, graph | us, eager | of copy | x dense | error |")
    print("|---|---|---|---|---|---|---|---|---|")
    rows = []
    for n, k in arguments.shape or SHAPES:
        for m in arguments.rows:
            for row in measure(n, k, m, getattr(torch, arguments.dtype)):
                rows.append(row)
                print(
                    f"| {row.name} | {n} x {k} | {m} | {row.bits:.3f} | {row.graph_us:.1f} | {row.eager_us:.1f} | "
                    f"{row.of_copy:.2f} | {row.times_dense:.2f} | {row.error:.1e} |",
                    flush=True,
                )
            torch.cuda.empty_cache()
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps([asdict(row) for row in rows], indent=1))


if __name__ == "__main__":
    main()
