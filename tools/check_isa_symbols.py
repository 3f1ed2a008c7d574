#!/usr/bin/env python3
"""Reads the compiled library back: does each instruction-set level stay in its own object file?

    tools/check_isa_symbols.py build/dev/libfairopt_core.a

1. Level objects define no weak symbol. The linker keeps one copy of a weak function; were that the AVX-512 one, every
   older CPU would die on it (SIGILL), depending on the order of the link line.
2. EVEX instructions (AVX-512) occur in avx512*.o only, VEX ones (AVX, AVX2, FMA, BMI) in avx2.o and avx512*.o only.
3. Innermost loops of level objects keep their accumulators in registers: no ymm or zmm travels from one round to the
   next through the stack. Blocks that call a function (memcpy of a ragged tail) do not count as part of a loop.

Prints what it found and exits 1 on any offence.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

LEVELS = ("baseline", "avx2", "avx512", "avx512_vnni", "avx512_vbmi2", "avx512_bf16")  # the last two: of avx512_vnni
MEMBER = re.compile(r"^(\S+\.o):(?:\s+file format .*)?$")
FUNCTION = re.compile(r"^[0-9a-f]+ <(.+)>:$")
INSTRUCTION = re.compile(r"^\s*([0-9a-f]+):\t([0-9a-f ]+?)\s*\t(\S+)\s*(.*)$")
JUMP_TARGET = re.compile(r"^([0-9a-f]+) <")
SLOT = r"(-?(?:0x[0-9a-f]+)?\(%r[sb]p\))"
STACK_STORE = re.compile(rf"^%[yz]mm\d+,{SLOT}$")
STACK_READ = re.compile(rf"{SLOT},")
MASK_INSTRUCTION = re.compile(r"^k(mov|or|and|xor|not|test|shift|add|unpck|xnor)")


@dataclass
class Instruction:
    """One line of objdump."""

    address: int
    first_byte: str
    mnemonic: str
    operands: str


@dataclass
class Function:
    """A disassembled function of one archive member."""

    member: str
    name: str
    instructions: list[Instruction] = field(default_factory=list)


def level_of(member: str) -> str | None:
    """Which level an object file belongs to; None for the rest of the library."""
    stem = Path(member).name.split(".")[0]
    return stem if stem in LEVELS else None


def encoding(instruction: Instruction) -> str | None:
    """``EVEX``, ``VEX`` or None: in 64-bit mode the first byte tells."""
    if instruction.first_byte == "62" or MASK_INSTRUCTION.match(instruction.mnemonic):
        return "EVEX"
    return "VEX" if instruction.first_byte in ("c4", "c5") else None


def functions(disassembly: Iterable[str]) -> Iterator[Function]:
    """Splits the output of ``objdump -d`` of an archive."""
    member, current = "", None
    for line in disassembly:
        if match := INSTRUCTION.match(line):
            if current is not None:
                current.instructions.append(Instruction(int(match[1], 16), match[2].split()[0], match[3], match[4]))
        elif match := FUNCTION.match(line):
            if current is not None:
                yield current
            current = Function(member, match[1])
        elif match := MEMBER.match(line.strip()):
            if current is not None:
                yield current
            member, current = match[1], None
    if current is not None:
        yield current


def basic_blocks(function: Function) -> tuple[list[list[Instruction]], list[list[int]]]:
    """The blocks of a function and, for each, the blocks that may run next."""
    body = function.instructions
    targets: dict[int, int] = {}  # address of a jump -> where it goes, within this function
    for i in body:
        if i.mnemonic.startswith("j") and (match := JUMP_TARGET.match(i.operands)):
            target = int(match[1], 16)
            if body[0].address <= target <= body[-1].address:
                targets[i.address] = target
    leaders = set(targets.values())
    blocks: list[list[Instruction]] = []
    for before, i in zip([None, *body], body, strict=False):
        if before is None or i.address in leaders or before.mnemonic.startswith(("j", "ret")):
            blocks.append([])
        blocks[-1].append(i)
    starts = {block[0].address: number for number, block in enumerate(blocks)}
    following = []
    for number, block in enumerate(blocks):
        last = block[-1]
        if any(i.mnemonic == "call" for i in block):  # memcpy of a ragged tail: registers are saved, it is no hot path
            following.append([])
            continue
        ways = [starts[targets[last.address]]] if last.address in targets else []
        if not last.mnemonic.startswith(("jmp", "ret")) and number + 1 < len(blocks):
            ways.append(number + 1)
        following.append(ways)
    return blocks, following


def dominators(following: list[list[int]]) -> list[int]:
    """For each block the set (as bits) of those that every way to it passes; 0 where there is no way."""
    everything = (1 << len(following)) - 1
    over = [1] + [everything] * (len(following) - 1)
    changed = True
    while changed:
        changed = False
        meet = [everything] * len(following)
        for number, ways in enumerate(following):
            for way in ways:
                meet[way] &= over[number]
        for number in range(1, len(following)):
            new = meet[number] | 1 << number
            changed |= new != over[number]
            over[number] = new
    reached, todo = set(), [0]
    while todo:
        if (block := todo.pop()) not in reached:
            reached.add(block)
            todo += following[block]
    return [bits if number in reached else 0 for number, bits in enumerate(over)]


def innermost_loops(function: Function) -> list[list[Instruction]]:
    """The natural loops of a function that hold no other loop."""
    blocks, following = basic_blocks(function)
    over = dominators(following)
    before: list[list[int]] = [[] for _ in blocks]
    for number, ways in enumerate(following):
        for way in ways:
            before[way].append(number)
    loops: dict[int, set[int]] = {}
    for number, ways in enumerate(following):
        for head in ways:
            if over[number] >> head & 1:  # a jump back: all that leads to it without passing the head is the loop
                loop = loops.setdefault(head, {head})
                todo = [number]
                while todo:
                    if (block := todo.pop()) not in loop:
                        loop.add(block)
                        todo += before[block]
    innermost = [loop for head, loop in loops.items() if not any(other in loop for other in loops if other != head)]
    return [[i for block in sorted(loop) for i in blocks[block]] for loop in innermost]


def spilled_accumulators(loop: list[Instruction]) -> list[str]:
    """Stack slots whose vector a loop reads first and stores later: a value carried through memory, round by round."""
    first: dict[str, str] = {}
    stored = set()
    for i in loop:
        if match := STACK_STORE.match(i.operands):
            first.setdefault(match[1], "store")
            stored.add(match[1])
        elif i.mnemonic.startswith("v") and (match := STACK_READ.search(i.operands)):
            first.setdefault(match[1], "read")
    return sorted(slot for slot in stored if first[slot] == "read")


def offences(function: Function) -> Iterator[str]:
    """Instructions that must not be where they are."""
    level = level_of(function.member)
    allowed = {"avx2": {"VEX"}}.get(level or "", {"VEX", "EVEX"} if (level or "").startswith("avx512") else set())
    place = f"{function.member}: {function.name}"
    for i in function.instructions:
        if (found := encoding(i)) and found not in allowed:
            yield f"{place}: {i.mnemonic} {i.operands}: {found} instruction outside its level"
    for loop in innermost_loops(function) if allowed else []:
        for slot in spilled_accumulators(loop):
            yield f"{place}: {slot}: accumulator kept on the stack in an innermost loop"


def weak_symbols(names: Iterable[str]) -> Iterator[str]:
    """Weak definitions in level objects, from the output of ``nm --defined-only`` of an archive."""
    member = ""
    for line in names:
        if match := MEMBER.match(line.strip()):
            member = match[1]
        elif level_of(member) and (parts := line.split(maxsplit=2)) and len(parts) == 3 and parts[1] in "WwVvu":
            yield f"{member}: {parts[2]}: weak symbol in a level object"


def output(*command: str) -> list[str]:
    """Lines that a tool of binutils prints."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def main(archive: str) -> int:
    """Checks one archive; returns the exit code."""
    found = list(weak_symbols(output("nm", "-C", "--defined-only", archive)))
    levels: dict[str, int] = {}
    for function in functions(output("objdump", "-d", "-C", "-w", archive)):
        found.extend(offences(function))
        if level := level_of(function.member):
            levels[level] = levels.get(level, 0) + 1
    for offence in found:
        print(offence)
    if "baseline" not in levels:
        print(f"check_isa_symbols: archive must hold baseline.cpp.o, got levels {sorted(levels)}")
        return 1
    counts = ", ".join(f"{level} {levels[level]}" for level in LEVELS if level in levels)
    print(f"check_isa_symbols: {len(found)} offences; functions by level: {counts}")
    return 1 if found else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} libfairopt_core.a")
    sys.exit(main(sys.argv[1]))
