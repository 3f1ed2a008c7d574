"""Masks against std::nth_element, torch's kthvalue, a pass that only reads the weights and one that also writes bytes.

    OMP_NUM_THREADS=2 python benchmarks/prune_mask.py --out build/prune_mask.json       # a minute or two

A turn is one call of each, in random order, in one process; what counts is the median over turns of the ratios within a
turn. Ours is the whole operator: its checks, the selection and the mask, of which the peers make none; once into memory
that is there (``out``), once into a new tensor, whose pages the system fills with zeros first. nth_element runs on one
thread, on a copy of the scores that is not counted; before N:M there is no nth_element, only memory to be read.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import machine_limits
import torch

from fairopt import ops

ROWS, COLS = 4096, 11008
Timed = Callable[[], float]


@dataclass
class Row:
    what: str
    threads: int
    ms: float  # into `out`
    of_read: float  # bytes of the weights over those that a read pass reads in the same time
    new_ms: float  # into a new tensor
    of_traffic: float  # time of a pass that reads the weights and writes a new byte for each, over new_ms
    times_nth_element: float | None
    times_torch: float | None


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def nth_element(scores: torch.Tensor, k: int) -> float:
    return float(torch.ops.fairopt_peers.nth_element(scores, k)[0])


def check(mask: torch.Tensor, scores: torch.Tensor, prune: int) -> None:
    """The scores that stay are not below those that go, whose number is right; row by row."""
    assert bool((mask.sum(-1) == mask.shape[-1] - prune).all())
    assert bool((scores.masked_fill(~mask, torch.inf).amin(-1) >= scores.masked_fill(mask, -torch.inf).amax(-1)).all())


def measure(what: str, mask: Callable[..., object], weights: torch.Tensor, peers: dict[str, Timed], turns: int) -> Row:
    buffer = machine_limits.bytes_to_read(weights.numel() * weights.element_size())
    out = torch.ones(weights.shape, dtype=torch.bool)
    timed = {"read": lambda: seconds(lambda: machine_limits.read_pass(buffer)), "new": lambda: seconds(mask), **peers}
    timed["ours"] = lambda: seconds(lambda: mask(out=out))
    timed["traffic"] = lambda: seconds(lambda: machine_limits.mask_traffic(weights))
    found: dict[str, list[float]] = {name: [] for name in timed}
    mask()
    for _ in range(turns):
        for name in random.sample(list(timed), len(timed)):
            found[name].append(timed[name]())

    def ratio(name: str, ours: str = "ours") -> float:
        return statistics.median(a / b for a, b in zip(found[name], found[ours], strict=True))

    ms, new_ms = (1e3 * statistics.median(found[ours]) for ours in ("ours", "new"))
    times = [ratio(peer) if peer in found else None for peer in ("nth_element", "torch")]
    return Row(what, torch.get_num_threads(), ms, ratio("read"), new_ms, ratio("traffic", "new"), *times)


def rows(turns: int) -> list[Row]:
    weights, norms = torch.randn(ROWS, COLS), torch.rand(COLS)
    found = []
    magnitudes = weights.abs().flatten()
    for share in (0.5, 0.9):
        k = round(share * weights.numel())
        peers = {
            "nth_element": lambda k=k: nth_element(magnitudes, k),
            "torch": lambda k=k: seconds(lambda: magnitudes.kthvalue(k)),
        }
        check(ops.prune_mask(weights, k).flatten(), magnitudes, k)
        found.append(
            measure(
                f"fp32, {share:.0%} of all", lambda k=k, **out: ops.prune_mask(weights, k, **out), weights, peers, turns
            )
        )
    scores, k = weights.abs() * norms, COLS // 2
    check(ops.prune_mask_rows(weights, k, norms), scores, k)
    peers = {
        "nth_element": lambda: nth_element(scores, k),
        "torch": lambda: seconds(lambda: scores.kthvalue(k, dim=1)),
    }
    found.append(
        measure(
            "fp32 x norms, 50% of each row",
            lambda **out: ops.prune_mask_rows(weights, k, norms, **out),
            weights,
            peers,
            turns,
        )
    )
    for dtype in (torch.float32, torch.bfloat16):
        typed = weights.to(dtype)
        for n, m in ((2, 4), (4, 8)):
            what = f"{str(dtype)[6:]}, {n}:{m}"
            found.append(
                measure(
                    what,
                    lambda n=n, m=m, typed=typed, **out: ops.prune_mask_n_of_m(typed, n, m, **out),
                    typed,
                    {},
                    turns,
                )
            )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="write the rows as JSON")
    parser.add_argument("--turns", type=int, default=7)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    random.seed(0)
    machine_limits.build()
    machine_limits.load_operators(Path(__file__).with_name("nth_element.cpp"))
    machine = machine_limits.describe()
    print(json.dumps(machine))
    print(f"weights {ROWS} x {COLS}")
    print("| mask | threads | ms | of read | new: ms | of traffic | x nth_element | x torch kthvalue |")
    print("|---" * 8 + "|")
    found = rows(arguments.turns)
    for row in found:
        peers = " | ".join("" if x is None else f"{x:.1f}" for x in (row.times_nth_element, row.times_torch))
        given, new = f"{row.ms:.1f} | {row.of_read:.2f}", f"{row.new_ms:.1f} | {row.of_traffic:.2f}"
        print(f"| {row.what} | {row.threads} | {given} | {new} | {peers} |", flush=True)
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps({"machine": machine, "rows": [asdict(row) for row in found]}, indent=1))


if __name__ == "__main__":
    main()
