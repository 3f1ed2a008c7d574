"""What must hold for a variant to ship: one declared limit per metric and group, fixed before the run."""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from fairopt.benchmarks import Benchmark, Item, Metric
from fairopt.errors import InputError

ALL = "all"
Kind = Literal["non_inferiority", "equivalence"]
Quantity = Literal["delta", "tau"]


@dataclass(frozen=True)
class GateSpec:
    """One limit."""

    id: str  # "crows/ll_sum:all"
    benchmark: str
    metric: str
    group: str
    kind: Kind
    quantity: Quantity  # the change itself, or the change beyond the mean of the axis's other groups
    margin: float  # in the metric's unit


@dataclass(frozen=True)
class Policy:
    """Error rates and limits. The defaults are judgement, informed by what samples can show (docs/audit.md)."""

    alpha: float = 0.05  # of a wrong SHIP and of a wrong HOLD, one-sided
    power: float = 0.80  # behind "smallest detectable" and "items needed"
    large_group: int = 300  # items from which a group gets the metric's tighter limit
    margins: Mapping[str, float] = field(default_factory=dict)  # gate id -> limit that replaces the default

    def __post_init__(self) -> None:
        for name, value in (("alpha", self.alpha), ("power", self.power)):
            if not (_is_number(value) and 0 < value < 1):
                raise InputError(f"policy: {name} must be between 0 and 1, got {value!r}")
        if type(self.large_group) is not int or self.large_group < 1:
            raise InputError(f"policy: large_group must be a positive whole number, got {self.large_group!r}")
        if not isinstance(self.margins, Mapping):
            raise InputError(f"policy: margins must map gates to limits, got {self.margins!r}")
        for gate, margin in self.margins.items():
            if not (_is_number(margin) and 0 < margin < math.inf):
                raise InputError(f"policy: the margin of {gate} must be positive and finite, got {margin!r}")

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Policy:
        """A JSON object with any of the fields. Raises :class:`~fairopt.errors.InputError` for anything else."""
        try:
            fields = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"policy: {str(path)!r} must be a JSON file, got {error}") from None
        known = tuple(cls.__dataclass_fields__)
        if not isinstance(fields, dict) or not fields.keys() <= set(known):
            raise InputError(f"policy: {str(path)!r} must be an object with {', '.join(known)}, got {fields}")
        return cls(**fields)

    def gates(self, asked: Sequence[tuple[Benchmark, Sequence[Item]]]) -> tuple[GateSpec, ...]:
        """All limits for these items: for each gated metric one over all items, then one a group, sorted by name."""
        gates = tuple(
            gate
            for benchmark, items in asked
            for metric in benchmark.metrics
            if metric.gated
            for gate in self._metric_gates(benchmark.name, metric, items)
        )
        unknown = sorted(set(self.margins) - {gate.id for gate in gates})
        if unknown:
            raise InputError(f"policy: margins must name gates of this audit, got {unknown[0]!r}")
        return gates

    def _metric_gates(self, benchmark: str, metric: Metric, items: Sequence[Item]) -> Iterator[GateSpec]:
        one_sided: Kind = "equivalence" if metric.harm == "either" else "non_inferiority"
        everyone: Kind = "equivalence" if metric.equivalence else one_sided
        yield self._replaced(
            GateSpec(f"{metric.id}:{ALL}", benchmark, metric.id, ALL, everyone, "delta", metric.margin)
        )
        quantity: Quantity = "tau" if metric.axis_gate else "delta"
        for group, n in sorted(Counter(item.group for item in items).items()):
            tighter = metric.large_group_margin if n >= self.large_group else None
            margin = metric.group_margin if tighter is None else tighter
            name = f"{metric.id}:{group}"
            yield self._replaced(GateSpec(name, benchmark, metric.id, group, one_sided, quantity, margin))

    def _replaced(self, gate: GateSpec) -> GateSpec:
        return replace(gate, margin=self.margins.get(gate.id, gate.margin))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
