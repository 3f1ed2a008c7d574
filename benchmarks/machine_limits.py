"""The limits a kernel is measured against, and the machine they were measured on.

The limits run on torch's own threads, so they are built as torch operators; that takes a C++ compiler and some seconds.
"""

from __future__ import annotations

import os
import platform
import subprocess
import tempfile
from pathlib import Path

import torch

from fairopt import _core


def build() -> None:
    """Compile machine_limits.cpp for this machine and register torch.ops.fairopt_limits."""
    load_operators(Path(__file__).with_suffix(".cpp"))


def load_operators(source: Path) -> None:
    """Compile torch operators for this machine and register them."""
    torch_dir = Path(torch.__file__).parent
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / f"lib{source.stem}.so"
        command = [os.environ.get("CXX", "c++"), "-std=c++20", "-O3", "-march=native", "-shared", "-fPIC"]
        command += ["-DTORCH_TARGET_VERSION=0x020a000000000000", f"-isystem{torch_dir}/include", str(source)]
        command += ["-o", str(library), f"-L{torch_dir}/lib", "-ltorch_cpu"]
        subprocess.run(command, check=True)
        torch.ops.load_library(str(library))


def read_pass(buffer: torch.Tensor) -> None:
    """Read every byte of the buffer once and do nothing else."""
    torch.ops.fairopt_limits.read_pass(buffer)


def mask_traffic(weights: torch.Tensor) -> None:
    """Read the weights once and write a new byte for each: what making a mask takes at least."""
    torch.ops.fairopt_limits.mask_traffic(weights)


def bytes_to_read(size: int) -> torch.Tensor:
    """A buffer of bytes for :func:`read_pass`, on pages as large as the system gives."""
    buffer = torch.empty(size, dtype=torch.uint8)
    torch.ops.fairopt_limits.prefer_huge_pages(buffer)
    return buffer.fill_(1)


def bf16_product(weight: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """The product of one fp32 row [k] with what :func:`bf16_rows` made: the least time of dense bfloat16 weights."""
    y: torch.Tensor = torch.ops.fairopt_limits.bf16_product(weight, x)
    return y


def bf16_rows(weight: torch.Tensor) -> torch.Tensor:
    """bfloat16 [n, k] in tiles of 64 rows for :func:`bf16_product`, on large pages; 64 must divide n."""
    n, k = weight.shape
    tiles = weight.view(n // 64, 2, 2, 16, k).permute(0, 4, 1, 3, 2)
    rows = torch.empty(tiles.shape, dtype=weight.dtype)
    torch.ops.fairopt_limits.prefer_huge_pages(rows)
    return rows.copy_(tiles)


def fma_pass(steps: int) -> int:
    """Fused multiply-adds from registers on every thread; returns how many floating-point operations they were."""
    return int(torch.ops.fairopt_limits.fma_pass(steps))


def dot_pass(steps: int) -> int:
    """As :func:`fma_pass`, dot products of int8 from registers (VNNI); 0 where the machine has none."""
    return int(torch.ops.fairopt_limits.dot_pass(steps))


def last_level_cache() -> int:
    """Bytes of the largest cache of CPU 0."""
    sizes = [path.read_text().strip() for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size")]
    units = {"K": 2**10, "M": 2**20}
    return max(int(size[:-1]) * units[size[-1]] for size in sizes)


def describe() -> dict[str, object]:
    """What a reader must know to compare two tables."""
    cpu = dict(line.split(":", 1) for line in Path("/proc/cpuinfo").read_text().splitlines() if ":" in line)
    cpu = {key.strip(): value.strip() for key, value in cpu.items()}
    wanted = {"avx2", "fma", "avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512_vbmi", "avx512_bf16", "amx_int8"}
    return {
        "cpu": f"{cpu.get('model name')}, family {cpu.get('cpu family')} model {cpu.get('model')}",
        "flags": sorted(wanted & set(cpu.get("flags", "").split())),
        "cpu_capability": _core.cpu_capability(),
        "threads": torch.get_num_threads(),
        "last_level_cache_mb": last_level_cache() / 2**20,
        "kernel": platform.release(),
        "torch": torch.__version__,
        "load_average": os.getloadavg()[0],
    }
