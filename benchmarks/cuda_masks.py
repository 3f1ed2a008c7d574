"""Masks on a GPU against a copy of the weights, torch's kthvalue and sort, and whether they are the CPU's.

Every contender is timed in turn in one process; what counts is the median of ratios of turns.

    python benchmarks/cuda_masks.py --out build/cuda_masks.json
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

ROWS, COLS, TURNS = 4096, 11008, 9
Call = Callable[[], object]


@dataclass
class Row:
    what: str
    dtype: str
    us: float
    of_copy: float  # bytes of the weights over those that a copy moves in the same time
    times_kthvalue: float | None
    times_sort: float | None
    equals_cpu: bool


def seconds(call: Call) -> float:
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    call()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) * 1e-3


def measure(
    what: str, weights: torch.Tensor, mask: Callable[[torch.Tensor], torch.Tensor], peers: dict[str, Call]
) -> Row:
    target = torch.empty_like(weights)
    calls = {"copy": lambda: target.copy_(weights), "ours": lambda: mask(weights), **peers}
    for call in calls.values():
        call()
    found = {name: [] for name in calls}
    for _ in range(TURNS):
        for name, call in calls.items():
            found[name].append(seconds(call))

    def ratio(name: str) -> float | None:
        return (
            statistics.median(a / b for a, b in zip(found[name], found["ours"], strict=True)) if name in found else None
        )

    equal = torch.equal(mask(weights).cpu(), mask(weights.cpu()))
    us, of_copy = 1e6 * statistics.median(found["ours"]), ratio("copy") / 2  # a copy reads and writes
    return Row(what, str(weights.dtype)[6:], us, of_copy, ratio("kthvalue"), ratio("sort"), equal)


def rows(dtype: torch.dtype) -> list[Row]:
    weights = torch.randn(ROWS, COLS, device="cuda").to(dtype)
    norms = {device: torch.linspace(0.1, 1, COLS, device=device) for device in ("cuda", "cpu")}
    magnitudes, scores = weights.abs().flatten(), weights.abs() * norms["cuda"].to(dtype)
    half = weights.numel() // 2
    all_peers = {"kthvalue": lambda: magnitudes.kthvalue(half), "sort": magnitudes.sort}
    row_peers = {"kthvalue": lambda: scores.kthvalue(COLS // 2, dim=1), "sort": lambda: scores.sort(dim=1)}
    return [
        measure("50% of all", weights, lambda w: ops.prune_mask(w, half), all_peers),
        measure("50% of all, x norms", weights, lambda w: ops.prune_mask(w, half, norms[w.device.type]), {}),
        measure(
            "50% of rows, x norms",
            weights,
            lambda w: ops.prune_mask_rows(w, COLS // 2, norms[w.device.type]),
            row_peers,
        ),
        measure("2:4", weights, lambda w: ops.prune_mask_n_of_m(w, 2, 4), {}),
        measure("4:8, x norms", weights, lambda w: ops.prune_mask_n_of_m(w, 4, 8, norms[w.device.type]), {}),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="write the rows as JSON")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    print(f"{_core.cuda_status()}; torch {torch.__version__}; weights {ROWS} x {COLS}")
    print("| mask | type | us | of copy | x kthvalue | x sort | the CPU's |\n|---|---|---|---|---|---|---|")
    found = [row for dtype in (torch.float32, torch.bfloat16) for row in rows(dtype)]
    for row in found:
        peers = " | ".join("" if x is None else f"{x:.1f}" for x in (row.times_kthvalue, row.times_sort))
        print(
            f"| {row.what} | {row.dtype} | {row.us:.0f} | {row.of_copy:.2f} | {peers} | {row.equals_cpu} |", flush=True
        )
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps([asdict(row) for row in found], indent=1))


if __name__ == "__main__":
    main()
