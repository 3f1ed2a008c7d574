"""What must hold for a variant to ship: rules, fixed before the run, that become one limit per metric and group.

The language of policy files, and the statistics behind each rule, are described in docs/gates.md.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fairopt.audit.result import Kind, Quantity
from fairopt.audit.rule import (
    ALL,
    EVERY_GROUP,
    Direction,
    Rule,
    declared_rules,
    is_count,
    is_number,
    known_fields,
    require,
)
from fairopt.benchmarks import Benchmark, Item, Metric, item_columns
from fairopt.errors import InputError

DEFAULT = Path(__file__).with_name("default.yaml")
SCHEMA = Path(__file__).with_name("policy.schema.json")


@dataclass(frozen=True)
class GateSpec:
    """One limit."""

    id: str  # "crows/ll_sum:all"; a quantity other than the change stands behind: "crows/ll_sum:race-color:tau"
    benchmark: str
    metric: str
    group: str
    kind: Kind
    quantity: Quantity
    margin: float  # in the quantity's unit; absolute and recovery: the bound itself
    direction: Direction = "either"  # in which the quantity must not go too far
    rule: str = ""  # "worst_group" or "gap_growth", where one rule made many gates


@dataclass(frozen=True)
class Policy:
    """Rules and error rates. ``Policy()`` is ``default.yaml``; its reasons are in docs/gates.md.

    Raises :class:`~fairopt.errors.InputError` for values out of range.
    """

    name: str = "default"
    alpha_ship: float = 0.05  # chance of SHIP although a limit is broken, one-sided
    alpha_hold: float = 0.05  # chance of HOLD although every limit is kept
    power: float = 0.80  # behind "smallest detectable" and "items needed"
    large_group: int = 300  # items from which a group gets the tighter limit
    rules: tuple[Rule, ...] = (Rule("declared"),)

    def __post_init__(self) -> None:
        require(isinstance(self.name, str) and self.name != "", "name", "a text", self.name)
        for name, top in (("alpha_ship", 0.5), ("alpha_hold", 0.5), ("power", 1)):
            value = getattr(self, name)
            require(is_number(value) and 0 < value < top, name, f"between 0 and {top}", value)
        require(is_count(self.large_group), "large_group", "a positive whole number", self.large_group)
        made = bool(self.rules) and all(isinstance(rule, Rule) for rule in self.rules)
        require(made, "rules", "at least one rule", self.rules)

    @classmethod
    def default(cls) -> Policy:
        """What ``default.yaml`` in this package says."""
        return cls.from_file(DEFAULT)

    @classmethod
    def of_suite(cls, name: str) -> Policy:
        """The declared limits without those for groups about which nothing can be shown with the items of the suite."""
        return cls(name=f"suite {name}", rules=(Rule("declared", min_items=30, min_clusters=10),))

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Policy:
        """Read YAML, TOML or JSON, by the file's ending; a file without a ``name`` gets its own.

        Raises :class:`~fairopt.errors.InputError` naming file and field.
        """
        from fairopt.audit.policy_file import read

        return cls.from_mapping(read(Path(path)), str(path), name=Path(path).stem)

    @classmethod
    def from_mapping(cls, found: Any, where: str, *, name: str = "default") -> Policy:
        """The policy that plain data describes; ``where`` names their origin in errors."""
        given = {"name": name, **known_fields(cls, found, where)}
        if "rules" in given:
            rules = given["rules"]
            if not isinstance(rules, list | tuple):
                raise InputError(f"policy: {where}: rules must be a list, got {rules!r}")
            given["rules"] = tuple(Rule.from_mapping(r, f"{where}: rules[{index}]") for index, r in enumerate(rules))
        try:
            return cls(**given)
        except InputError as error:
            raise InputError(str(error).replace("policy: ", f"policy: {where}: ", 1)) from None

    def gates(self, asked: Sequence[tuple[Benchmark, Sequence[Item]]]) -> tuple[GateSpec, ...]:
        """All limits for these items: by benchmark, metric and rule, groups sorted by name.

        A gate of an explicit rule replaces the declared one of the same metric, group and quantity.

        Raises :class:`~fairopt.errors.InputError` for a rule that makes no gate, and for two explicit rules that limit
        the same quantity.
        """
        found: dict[str, tuple[int, GateSpec]] = {}
        idle = set(range(len(self.rules)))
        for benchmark, items in asked:
            for metric in benchmark.metrics:
                sizes = _sizes(metric, items)
                for index, rule in enumerate(self.rules):
                    for gate in self._rule_gates(rule, benchmark.name, metric, sizes):
                        idle.discard(index)
                        self._add(found, index, gate)
        if idle:
            index, metrics = min(idle), ", ".join(metric.id for benchmark, _ in asked for metric in benchmark.metrics)
            raise InputError(
                f"policy: rules[{index}] ({self.rules[index].rule} of {self.rules[index].metric!r}) must limit"
                f" something in this audit, got the metrics {metrics}"
            )
        return tuple(gate for _, gate in found.values())

    def _add(self, found: dict[str, tuple[int, GateSpec]], index: int, gate: GateSpec) -> None:
        before = found.get(gate.id)
        if before is not None:
            if self.rules[index].rule == "declared":
                return
            if self.rules[before[0]].rule != "declared":
                raise InputError(
                    f"policy: rules[{index}] must limit something new, got {gate.id}, which rules[{before[0]}] limits"
                )
        found[gate.id] = (index, gate)

    def _rule_gates(self, rule: Rule, benchmark: str, metric: Metric, sizes: Sizes) -> Iterator[GateSpec]:
        if not rule.fits(metric):
            return
        if rule.rule == "declared":
            everyone, each = declared_rules(metric)
            gated = {group: size for group, size in sizes.items() if group not in metric.ungated_groups}
            each = replace(each, min_items=rule.min_items, min_clusters=rule.min_clusters)
            for declared, of in (*([(everyone, sizes)] if metric.everyone else []), (each, gated)):
                yield from self._rule_gates(declared, benchmark, metric, of)
            return
        kind, quantity, direction = rule.limited(metric)
        _check_range(metric, quantity, rule.limit(large=False))
        for group, size in _chosen(rule, metric, sizes).items():
            if size.items >= rule.min_items and size.clusters >= rule.min_clusters:
                yield GateSpec(
                    id=f"{metric.id}:{group}" + ("" if quantity == "delta" else f":{quantity}"),
                    benchmark=benchmark,
                    metric=metric.id,
                    group=group,
                    kind=kind,
                    quantity=quantity,
                    margin=rule.limit(large=group != ALL and size.items >= self.large_group),
                    direction=direction,
                    rule=rule.rule if rule.rule in EVERY_GROUP else "",
                )


def _check_range(metric: Metric, quantity: Quantity, limit: float) -> None:
    low, high = metric.range
    if quantity == "level" and not low < limit < high:
        raise InputError(
            f"policy: at_most or at_least must be inside the range of {metric.id}, {low:g} to {high:g}, got {limit:g}"
        )
    if metric.kind == "binary" and quantity != "ratio" and limit >= 1:
        raise InputError(f"policy: the margin of {metric.id}, a share, must be below 1, got {limit:g}")


@dataclass(frozen=True)
class Size:
    """Of a group: what its claims rest on."""

    items: int
    clusters: int


Sizes = Mapping[str, Size]  # of every group, and of ALL


def _sizes(metric: Metric, items: Sequence[Item]) -> Sizes:
    """Of the items that the metric is about."""
    columns = item_columns(items)
    about = np.full(len(items), True) if metric.applies is None else metric.applies(columns)
    groups, clusters = columns[metric.by][about], columns["cluster_id"][about]
    of = {str(name): groups == name for name in np.unique(groups)} | {ALL: np.full(len(groups), True)}
    return {name: Size(int(chosen.sum()), len(np.unique(clusters[chosen]))) for name, chosen in of.items()}


def _chosen(rule: Rule, metric: Metric, sizes: Sizes) -> Sizes:
    each = {group: size for group, size in sorted(sizes.items()) if group != ALL}
    if rule.groups == ALL:
        return {ALL: sizes[ALL]}
    if not isinstance(rule.groups, tuple):
        return each
    for name in rule.groups:
        if name not in each:
            raise InputError(f"policy: groups of {metric.id} must be of {', '.join(each)}, got {name!r}")
    return {name: each[name] for name in sorted(rule.groups)}
