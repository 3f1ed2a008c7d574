"""What was not asked, and why."""

from __future__ import annotations

from dataclasses import dataclass

from fairopt.audit.result import AuditResult, LeftOut
from fairopt.report.text import visible


@dataclass(frozen=True)
class LeftOutLine:
    """One reason."""

    benchmark: str
    n: str
    why: str
    examples: str


def left_out(result: AuditResult) -> tuple[LeftOutLine, ...]:
    """Whole benchmarks first, then parts in the order in which they were asked."""
    ordered = sorted(result.left_out, key=lambda one: one.n > 0)
    return tuple(map(_line, ordered))


def _line(one: LeftOut) -> LeftOutLine:
    more = ", …" if one.n > len(one.examples) else ""
    return LeftOutLine(
        benchmark=visible(one.benchmark),
        n=f"{one.n:,}" if one.n else "all",
        why=visible(one.why),
        examples=", ".join(map(visible, one.examples)) + more if one.examples else "",
    )
