#!/usr/bin/env python3
"""Do the hot loops of the packed kernels keep their vectors in registers? Reads the compiled library back.

    tools/check_spills.py build/dev/libfairopt_core.a

In the innermost loops of the functions named below no vector register is stored to the stack, at any level. (GCC 12
once kept all 24 accumulators of a micro-kernel there: same results, half the speed.) A constant that waits on the stack
and is only read costs no more than one that waits elsewhere in memory: that passes. A level that has none of the
functions of a kernel fails too: a renamed kernel must not go unchecked.

Prints what it looked at and exits 1 on any offence.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator

from check_isa_symbols import LEVELS, Function, Instruction, functions, innermost_loops, level_of, output

HOT = {
    "packed_exact": ("add_chunk", "decode_chunk", "add_decoded"),
    "packed_planes": ("byte_sums", "nibble_sums", "add_bytes"),
    "sparse_linear": ("add_sparse_tiles", "expand_chunk"),
}
PARTS = {"avx512_vbmi2": ("sparse_linear",), "avx512_bf16": ("packed_exact", "sparse_linear")}  # objects of these alone
STORE_TO_STACK = re.compile(r"^%[xyz]mm\d+,(?:-?0x[0-9a-f]+)?\(%r[sb]p(?:,%r\w+,\d)?\)")


def hot_kernel(function: Function) -> str | None:
    """The kernel whose hot function this is."""
    name = function.name.removeprefix("void ").split("(anonymous namespace)::", 1)[-1].split("<")[0].split("(")[0]
    return next((kernel for kernel, names in HOT.items() if name in names), None)


def spills(loop: Iterable[Instruction]) -> Iterator[Instruction]:
    """Instructions that store a vector to the stack."""
    return (i for i in loop if STORE_TO_STACK.match(i.operands))


def check(disassembly: Iterable[str]) -> tuple[list[str], dict[tuple[str, str], int]]:
    """The offences, and how many loops were looked at by (level, kernel)."""
    offences: list[str] = []
    looked_at: dict[tuple[str, str], int] = {}
    for function in functions(disassembly):
        level, kernel = level_of(function.member), hot_kernel(function)
        if level is None or kernel is None:
            continue
        for loop in innermost_loops(function):
            looked_at[level, kernel] = looked_at.get((level, kernel), 0) + 1
            offences += [f"{function.member}: {function.name}: {i.mnemonic} {i.operands}" for i in spills(loop)]
    return offences, looked_at


def main(archive: str) -> int:
    """Checks one archive; returns the exit code."""
    lines = output("objdump", "-d", "-C", "-w", archive)
    offences, looked_at = check(lines)
    levels = {level for function in functions(lines) if (level := level_of(function.member))}
    for level in sorted(levels):
        offences += [
            f"{level}: no function of {kernel} to look at"
            for kernel in PARTS.get(level, HOT)
            if (level, kernel) not in looked_at
        ]
    for offence in offences:
        print(offence)
    counts = {level: sum(n for (at, _), n in looked_at.items() if at == level) for level in LEVELS}
    kernels, loops = ", ".join(HOT), ", ".join(f"{level} {n}" for level, n in counts.items())
    print(f"check_spills: {len(offences)} offences in the loops of {kernels}; innermost loops by level: {loops}")
    return 1 if offences or not levels else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} libfairopt_core.a")
    sys.exit(main(sys.argv[1]))
